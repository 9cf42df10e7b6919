-- The life of a commission, first half: parties, clicks, orders and refunds, conversions.
--
-- Raw layers are only ever added to; derived ones are versioned, superseded and never overwritten.
--
-- A. Raw rows never change: event_is_append_only; clicks are in 0007.
-- B. An order is one event and one conversion: event_pk (the id follows from program, kind and the
--    sender's reference), conversion_once.
-- C. What the brand owes is what the publisher earns plus the fees, at every moment:
--    conversion_adds_up, commission_adds_up.
-- D. Refunds never exceed the order: conversion_refunds_within_order.
-- E. A conversion without a publisher earns nobody a payable: conversion_unattributed_owes_nobody.
-- F. Each change of a conversion has its number, author, reason and entries: change_pk, commission_pk.
-- G. Program terms are added, not edited: terms_are_append_only; a conversion names the version.

set local role counterfoil_owner;

create table settlement.network (
    id boolean not null default true,
    name text not null,
    accounting_zone text not null,
    house_book_id bigint not null,
    created_at timestamptz not null,
    created_by text not null,
    constraint network_pk primary key (id),
    constraint network_is_one check (id)
);
comment on table settlement.network is 'reference: the one network of this database';
comment on column settlement.network.accounting_zone is 'IANA zone in which a day and a month are counted';

create table settlement.brand (
    id uuid not null,
    name text not null,
    book_id bigint not null,
    created_at timestamptz not null,
    created_by text not null,
    constraint brand_pk primary key (id),
    constraint brand_name_once unique (name),
    constraint brand_book_once unique (book_id)
);
comment on table settlement.brand is 'reference: who pays for conversions; one book each';

create table settlement.publisher (
    id uuid not null,
    name text not null,
    code text not null,
    state text not null,
    contact_mail text,
    website text,
    created_at timestamptz not null,
    created_by text not null,
    constraint publisher_pk primary key (id),
    constraint publisher_name_once unique (name),
    constraint publisher_code_once unique (code),
    constraint publisher_code_plain check (code ~ '^[A-Za-z0-9_-]{1,64}$'),
    constraint publisher_state_known
        check (state in ('applied', 'approved', 'suspended', 'rejected'))
);
comment on table settlement.publisher is 'reference: who earns commissions';
comment on column settlement.publisher.code is 'public: what stands in its addresses, as written';

create table settlement.program (
    book_id bigint not null,
    id uuid not null,
    brand_id uuid not null,
    name text not null,
    state text not null,
    created_at timestamptz not null,
    created_by text not null,
    constraint program_pk primary key (book_id, id),
    constraint program_name_once unique (book_id, name),
    constraint program_state_known
        check (state in ('draft', 'review', 'active', 'paused', 'closed')),
    constraint program_of_brand foreign key (brand_id) references settlement.brand (id)
);
comment on table settlement.program is 'distributed by book_id: what a brand offers its publishers';

create table settlement.program_terms (
    book_id bigint not null,
    program_id uuid not null,
    version integer not null,
    effective_from timestamptz not null,
    currency text not null,
    rule jsonb not null,
    fee_model text not null,
    fee_brand_rate numeric(9, 6) not null,
    fee_publisher_rate numeric(9, 6) not null,
    rounding text not null,
    recognition_point text not null,
    presentation text not null,
    unattributed text not null,
    lookback_days integer not null,
    attribution jsonb not null,
    rules jsonb not null default '{}',
    created_at timestamptz not null,
    created_by text not null,
    constraint terms_pk primary key (book_id, program_id, version),
    constraint terms_of_program foreign key (book_id, program_id)
        references settlement.program (book_id, id),
    constraint terms_fee_model_known
        check (fee_model in ('deducted', 'on_top', 'two_sided', 'house', 'custom')),
    constraint terms_fee_rates_are_shares
        check (fee_brand_rate between 0 and 1 and fee_publisher_rate between 0 and 1),
    constraint terms_rounding_known check (rounding in ('half_up', 'half_even', 'down')),
    constraint terms_recognition_known check (recognition_point in ('approval', 'conversion')),
    constraint terms_presentation_known check (presentation in ('agent', 'principal')),
    constraint terms_unattributed_known check (unattributed in ('record_only', 'house_income')),
    constraint terms_lookback_sane check (lookback_days between 1 and 365)
);
comment on table settlement.program_terms is 'distributed by book_id: a program''s terms by version; the latest effective at the order counts';
comment on column settlement.program_terms.attribution is 'model, precedence of ways, claim at signup';
comment on column settlement.program_terms.rules is 'when a rate is taken, bonus, repeat orders, caps, approval and holds by themselves';
comment on column settlement.program_terms.fee_brand_rate is 'm: the share added to the brand''s invoice';
comment on column settlement.program_terms.fee_publisher_rate is 'd: the share deducted from the publisher';

create table settlement.enrolment (
    book_id bigint not null,
    program_id uuid not null,
    publisher_id uuid not null,
    state text not null,
    earns tstzmultirange not null,
    created_at timestamptz not null,
    created_by text not null,
    constraint enrolment_state_known
        check (state in ('applied', 'approved', 'suspended', 'ended')),
    constraint enrolment_earns_while_approved
        check (state <> 'applied' or isempty(earns)),
    constraint enrolment_pk primary key (book_id, program_id, publisher_id),
    constraint enrolment_of_program foreign key (book_id, program_id)
        references settlement.program (book_id, id),
    constraint enrolment_of_publisher foreign key (publisher_id) references settlement.publisher (id)
);
comment on table settlement.enrolment is 'distributed by book_id: which publisher may earn in which program';
comment on column settlement.enrolment.earns is 'when orders count: from each approval to the suspension or end after it';

create table settlement.event (
    book_id bigint not null,
    id uuid not null,
    program_id uuid not null,
    kind text not null,
    external_ref text not null,
    order_ref text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    recorded_by text not null,
    currency text not null,
    amount bigint not null,
    visitor text,
    click_id uuid,
    publisher_id uuid,
    user_hash bytea,
    coupon text,
    details jsonb not null default '{}',
    constraint event_pk primary key (book_id, id),
    constraint event_kind_known check (kind in ('order', 'refund')),
    constraint event_amount_sane check (amount > 0 or kind = 'order' and amount = 0)
);
comment on table settlement.event is 'distributed by book_id: raw orders and refunds as received, append-only, amounts in minor units';
comment on column settlement.event.publisher_id is 'the publisher that the sender itself named, if any';
comment on column settlement.event.user_hash is 'who ordered, as settlement.user_hash gives it; never the id itself';
comment on column settlement.event.details is 'what else the sender said and rules look at: product, plan, category, new or returning customer, paid';

create index event_of_refunds on settlement.event (book_id, program_id, order_ref)
    where kind = 'refund';

create table settlement.conversion (
    book_id bigint not null,
    id uuid not null,
    program_id uuid not null,
    order_ref text not null,
    event_id uuid not null,
    occurred_at timestamptz not null,
    terms_version integer not null,
    state text not null,
    held_from text,
    version integer not null,
    approved_version integer,
    attributed_version integer not null,
    credit_version integer,
    publisher_id uuid,
    click_id uuid,
    currency text not null,
    order_amount bigint not null,
    refunded bigint not null,
    frozen_rate jsonb not null,
    priced_by jsonb not null default '{}',
    customer text,
    paid_at timestamptz,
    original_currency text,
    original_amount bigint,
    original_refunded bigint,
    fx jsonb,
    gross bigint not null,
    brand_due bigint not null,
    publisher_due bigint not null,
    fee_brand bigint not null,
    fee_publisher bigint not null,
    changed_at timestamptz not null,
    changed_by text not null,
    constraint conversion_pk primary key (book_id, id),
    constraint conversion_once unique (book_id, program_id, order_ref),
    constraint conversion_state_known check (
        state in ('unattributed', 'pending', 'on_hold', 'approved', 'rejected', 'reversed')),
    constraint conversion_hold_knows_whence check (
        (state = 'on_hold') = (held_from is not null)
        and coalesce(held_from, 'pending') in ('pending', 'approved')),
    constraint conversion_adds_up check (
        brand_due = publisher_due + fee_brand + fee_publisher
        and brand_due = gross + fee_brand and gross >= 0 and publisher_due >= 0
        and fee_brand >= 0 and fee_publisher >= 0),
    constraint conversion_refunds_within_order check (refunded between 0 and order_amount),
    constraint conversion_original_whole check (
        (original_currency is null) = (original_amount is null)
        and (original_currency is null) = (original_refunded is null)
        and (original_currency is not null or fx is null)
        and original_refunded between 0 and original_amount
        and original_currency <> currency),
    constraint conversion_without_rate_earns_nothing check (
        original_currency is null or fx is not null or order_amount = 0 and gross = 0),
    constraint conversion_unattributed_owes_nobody check (
        publisher_id is not null or publisher_due = 0)
) with (fillfactor = 80);
comment on table settlement.conversion is 'distributed by book_id: the current state and amounts of each order''s conversion, minor units; history in change and commission';
comment on column settlement.conversion.version is 'how often it changed; names the entries of each change';
comment on column settlement.conversion.attributed_version is 'at which change it was credited as it is';
comment on column settlement.conversion.credit_version is 'at which change its publishers'' shares became what they are; null if one earns all';
comment on column settlement.conversion.publisher_id is 'who earns it, or the largest share of it';
comment on column settlement.conversion.frozen_rate is 'the rate or flat amount it was priced with; refunds recompute with it';
comment on column settlement.conversion.priced_by is 'why it pays what it pays: first or repeat order, the rate rule, the tier, the bonus, the cap it is over';
comment on column settlement.conversion.customer is 'who ordered, as far as the sender tells: an opaque id; tells first orders from repeat ones';
comment on column settlement.conversion.original_currency is 'the order''s own currency, where it is not the program''s; without fx it waits for a rate';
comment on column settlement.conversion.fx is 'the stored rate it was converted with: rate, day, source, time; refunds use it again';
create index conversion_by_order on settlement.conversion (order_ref);
create index conversion_of_publisher on settlement.conversion
    (book_id, program_id, publisher_id, occurred_at);
create index conversion_of_customer on settlement.conversion
    (book_id, program_id, customer, occurred_at) where customer is not null;
create index conversion_of_click on settlement.conversion (book_id, click_id, occurred_at)
    where click_id is not null;
create index conversion_awaiting_rate on settlement.conversion (book_id, id)
    where original_currency is not null and fx is null;
create index conversion_undecided on settlement.conversion (book_id, occurred_at)
    where state in ('pending', 'on_hold');

create table settlement.attribution (
    book_id bigint not null,
    conversion_id uuid not null,
    version integer not null,
    model text not null,
    click_id uuid,
    publisher_id uuid,
    considered jsonb not null,
    asked_model text,
    asked_lookback integer,
    decided_at timestamptz not null,
    decided_by text not null,
    constraint attribution_pk primary key (book_id, conversion_id, version),
    constraint attribution_model_known check (
        model in ('last_click', 'first_click', 'linear', 'position', 'time_decay', 'named_click',
                  'claim', 'coupon', 'declared', 'none'))
);
comment on table settlement.attribution is 'distributed by book_id: who was credited with a conversion, by which rule; versioned';

create table settlement.commission (
    book_id bigint not null,
    conversion_id uuid not null,
    version integer not null,
    event_id uuid not null,
    base bigint not null,
    gross bigint not null,
    brand_due bigint not null,
    publisher_due bigint not null,
    fee_brand bigint not null,
    fee_publisher bigint not null,
    decided_at timestamptz not null,
    decided_by text not null,
    constraint commission_pk primary key (book_id, conversion_id, version),
    constraint commission_adds_up check (brand_due = publisher_due + fee_brand + fee_publisher)
);
comment on table settlement.commission is 'distributed by book_id: what a conversion earned after each order or refund, minor units; versioned';

create table settlement.change (
    book_id bigint not null,
    conversion_id uuid not null,
    version integer not null,
    action text not null,
    from_state text not null,
    to_state text not null,
    reason text not null,
    entry_ids uuid[] not null,
    changed_at timestamptz not null,
    changed_by text not null,
    constraint change_pk primary key (book_id, conversion_id, version)
);
comment on table settlement.change is 'distributed by book_id: each step of a conversion with its author, reason and journal entries';

create table settlement.parked_refund (
    id uuid not null,
    book_id bigint,
    refund_ref text not null,
    order_ref text,
    occurred_at timestamptz not null,
    currency text not null,
    amount bigint not null,
    note text not null,
    reason text not null,
    parked_at timestamptz not null,
    parked_by text not null,
    resolved_at timestamptz,
    resolved_by text,
    resolution text,
    constraint parked_refund_pk primary key (id),
    constraint parked_refund_reason_known
        check (reason in ('order_unknown', 'order_ambiguous', 'exceeds_order', 'currency_differs')),
    constraint parked_refund_resolved_whole check (
        (resolved_at is null) = (resolved_by is null) and (resolved_at is null) = (resolution is null))
);
comment on table settlement.parked_refund is 'reference: refunds that fit no order, kept until finance resolves them';
comment on column settlement.parked_refund.id is 'follows from all that the sender said, so that no refund pushes out another';
create index parked_refund_of_order on settlement.parked_refund (order_ref) where resolved_at is null;

create function settlement.refuse_change() returns trigger
    language plpgsql
as $$
begin
    raise exception '%.% is append-only: % refused; add a new version instead',
        tg_table_schema, tg_table_name, tg_op
        using errcode = 'insufficient_privilege';
end $$;

comment on column settlement.attribution.considered is 'what could have earned it, each with its weight or why it got none; empty if there was but one';

comment on column settlement.attribution.asked_model is 'the model that a later run asked for instead of the program''s';

create trigger event_is_append_only before update or delete or truncate on settlement.event
    for each statement execute function settlement.refuse_change();
create trigger terms_are_append_only before update or delete or truncate on settlement.program_terms
    for each statement execute function settlement.refuse_change();
create trigger attribution_is_append_only before update or delete or truncate on settlement.attribution
    for each statement execute function settlement.refuse_change();
create trigger commission_is_append_only before update or delete or truncate on settlement.commission
    for each statement execute function settlement.refuse_change();
create trigger change_is_append_only before update or delete or truncate on settlement.change
    for each statement execute function settlement.refuse_change();

grant select on all tables in schema settlement to counterfoil_service, counterfoil_auditor;
grant insert on all tables in schema settlement to counterfoil_service;
grant update on settlement.conversion, settlement.parked_refund, settlement.publisher,
    settlement.program, settlement.enrolment to counterfoil_service;

reset role;
