-- What pays more or less than a program's terms say, rates between currencies, and signs of fraud.
--
-- A. None of it is ever edited: a later row says something else from a moment on, or of a day.
--    rate_rules_are_append_only, tier_assignments_are_append_only, fx_rates_are_append_only,
--    fraud_signals_are_append_only, order_traces_are_append_only,
--    publisher_marks_are_append_only.
-- B. A rate rule is narrower than its program: rate_rule_is_narrower.
-- C. A conversion shows each sign of fraud once: fraud_signal_pk.

set local role counterfoil_owner;

create table settlement.rate_rule (
    book_id bigint not null,
    id uuid not null,
    program_id uuid not null,
    publisher_id uuid,
    product text,
    plan text,
    category text,
    kind text,
    effective_from timestamptz not null,
    pays jsonb,
    reason text not null,
    created_at timestamptz not null,
    created_by text not null,
    constraint rate_rule_pk primary key (book_id, id),
    constraint rate_rule_of_program foreign key (book_id, program_id)
        references settlement.program (book_id, id),
    constraint rate_rule_is_narrower check (
        num_nonnulls(publisher_id, product, plan, category, kind) > 0),
    constraint rate_rule_kind_known check (kind in ('initial', 'topup'))
);
comment on table settlement.rate_rule is 'distributed by book_id: rates of a publisher, product, plan, category or kind of order; the latest effective one of each counts';
comment on column settlement.rate_rule.pays is 'what an order pays from then on; null: no longer anything of its own';
create index rate_rule_of_publisher on settlement.rate_rule
    (book_id, program_id, publisher_id, effective_from);

create table settlement.tier_assignment (
    book_id bigint not null,
    id uuid not null,
    program_id uuid not null,
    publisher_id uuid not null,
    effective_from timestamptz not null,
    tier text,
    created_at timestamptz not null,
    created_by text not null,
    constraint tier_assignment_pk primary key (book_id, id),
    constraint tier_assignment_of_enrolment foreign key (book_id, program_id, publisher_id)
        references settlement.enrolment (book_id, program_id, publisher_id)
);
comment on table settlement.tier_assignment is 'distributed by book_id: tiers given by hand; the latest effective one counts, null gives the tier back to the volume';
create index tier_assignment_of_publisher on settlement.tier_assignment
    (book_id, program_id, publisher_id, effective_from);

create table settlement.fx_rate (
    base text not null,
    quote text not null,
    day date not null,
    revision integer not null,
    rate numeric not null,
    source text not null,
    recorded_at timestamptz not null,
    recorded_by text not null,
    constraint fx_rate_pk primary key (base, quote, day, revision),
    constraint fx_rate_of_base foreign key (base) references ledger.currency (code),
    constraint fx_rate_of_quote foreign key (quote) references ledger.currency (code),
    constraint fx_rate_of_two check (base <> quote),
    constraint fx_rate_positive check (rate > 0)
);
comment on table settlement.fx_rate is 'reference: how much of quote one base was worth on a day; of several revisions the highest counts';

create table settlement.fraud_signal (
    book_id bigint not null,
    conversion_id uuid not null,
    signal text not null,
    severity text not null,
    score integer not null,
    reason text not null,
    evidence jsonb not null,
    detected_at timestamptz not null,
    detected_by text not null,
    constraint fraud_signal_pk primary key (book_id, conversion_id, signal),
    constraint fraud_signal_known check (signal in (
        'SELF_PURCHASE_SUSPECTED', 'HIGH_FREQUENCY_ORDERS', 'MANY_ORDERS_SAME_IP',
        'MANY_ORDERS_SAME_USER_AGENT', 'UNUSUAL_ORDER_VALUE', 'REFERRER_REUSED_ACROSS_MERCHANTS')),
    constraint fraud_signal_severity_known check (severity in ('LOW', 'MEDIUM', 'HIGH')),
    constraint fraud_signal_score_sane check (score between 1 and 100)
);
comment on table settlement.fraud_signal is 'distributed by book_id: signs of fraud on conversions, each once, with what they were seen by';

create table settlement.order_trace (
    book_id bigint not null,
    conversion_id uuid not null,
    publisher_id uuid,
    occurred_at timestamptz not null,
    ip_hash text,
    user_agent text,
    referrer text,
    constraint order_trace_pk primary key (book_id, conversion_id)
);
comment on table settlement.order_trace is 'distributed by book_id: from where an order came, by its own request or its click''s, for counting orders that came alike';
create index order_trace_by_ip on settlement.order_trace (book_id, ip_hash, occurred_at)
    where ip_hash is not null;
create index order_trace_by_agent on settlement.order_trace
    (book_id, publisher_id, user_agent, occurred_at) where user_agent is not null;
create index order_trace_by_referrer on settlement.order_trace (referrer, occurred_at)
    where referrer is not null;

create table settlement.publisher_mark (
    publisher_id uuid not null,
    kind text not null,
    value text not null,
    noted_at timestamptz not null,
    noted_by text not null,
    constraint publisher_mark_pk primary key (publisher_id, kind, value),
    constraint publisher_mark_of_publisher foreign key (publisher_id)
        references settlement.publisher (id),
    constraint publisher_mark_kind_known check (kind in ('customer', 'ip_hash'))
);
comment on table settlement.publisher_mark is 'reference: by what a publisher''s own orders are known: opaque customer ids and hashed addresses, never a name';

create trigger rate_rules_are_append_only before update or delete or truncate
    on settlement.rate_rule for each statement execute function settlement.refuse_change();
create trigger tier_assignments_are_append_only before update or delete or truncate
    on settlement.tier_assignment for each statement execute function settlement.refuse_change();
create trigger fx_rates_are_append_only before update or delete or truncate
    on settlement.fx_rate for each statement execute function settlement.refuse_change();
create trigger fraud_signals_are_append_only before update or delete or truncate
    on settlement.fraud_signal for each statement execute function settlement.refuse_change();
create trigger order_traces_are_append_only before update or delete or truncate
    on settlement.order_trace for each statement execute function settlement.refuse_change();
create trigger publisher_marks_are_append_only before update or delete or truncate
    on settlement.publisher_mark for each statement execute function settlement.refuse_change();

grant select, insert on settlement.rate_rule, settlement.tier_assignment, settlement.fx_rate,
    settlement.fraud_signal, settlement.order_trace, settlement.publisher_mark to counterfoil_service;
grant select on settlement.rate_rule, settlement.tier_assignment, settlement.fx_rate,
    settlement.fraud_signal, settlement.order_trace, settlement.publisher_mark to counterfoil_auditor;

reset role;
