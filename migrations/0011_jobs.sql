-- What happens by itself or leaves the building: the queue, and postbacks to publishers.
--
-- A. A job is enqueued once per kind and key: job_once. It is written in the database transaction
--    of what causes it, so it exists if and only if its cause does.
-- B. A job is done, dead or discarded at one moment by somebody: job_closed_whole.
-- C. Whoever works on a job holds a lease; claim counts how often it was taken, so that one whose
--    lease ran out cannot end the job of the next: every ending names its claim.
-- D. A postback names a program with its book or neither: target_program_whole. One that is signed
--    has a secret, and no other has: target_signed_has_secret.
-- E. Each attempt to deliver is one row of its own that never changes: delivery_is_append_only.

set local role counterfoil_owner;

create table jobs.job (
    id bigint not null generated always as identity,
    kind text not null,
    key text not null,
    payload jsonb not null,
    state text not null,
    run_at timestamptz not null,
    attempts integer not null,
    claim bigint not null,
    claimed_by text,
    claimed_until timestamptz,
    last_error text,
    created_at timestamptz not null,
    closed_at timestamptz,
    closed_by text,
    constraint job_pk primary key (id),
    constraint job_once unique (kind, key),
    constraint job_state_known check (state in ('waiting', 'done', 'dead', 'discarded')),
    constraint job_claimed_whole check ((claimed_by is null) = (claimed_until is null)),
    constraint job_closed_whole check (
        (state = 'waiting') = (closed_at is null) and (closed_at is null) = (closed_by is null)),
    constraint job_counts check (attempts >= 0 and claim >= 0)
) with (fillfactor = 70);
comment on table jobs.job is 'local: what is to be done, and what became of it';
comment on column jobs.job.key is 'names the thing within its kind: the same thing is enqueued once';
comment on column jobs.job.attempts is 'tries that count; a wait gives its try back';
create index job_due on jobs.job (run_at, id) where state = 'waiting';
create index job_dead on jobs.job (closed_at, id) where state = 'dead';

create table jobs.postback_target (
    id uuid not null,
    publisher_id uuid not null,
    program_book_id bigint,
    program_id uuid,
    method text not null,
    url text not null,
    secret text,
    events text[] not null,
    delay_ms integer not null,
    unknown_macro text not null,
    expose_order_id boolean not null,
    failures integer not null,
    failing_since timestamptz,
    disabled_at timestamptz,
    disabled_reason text,
    created_at timestamptz not null,
    created_by text not null,
    changed_at timestamptz not null,
    changed_by text not null,
    constraint postback_target_pk primary key (id),
    constraint target_of_publisher foreign key (publisher_id) references settlement.publisher (id),
    constraint target_program_whole check ((program_book_id is null) = (program_id is null)),
    constraint target_method_known check (method in ('get', 'post')),
    constraint target_signed_has_secret check ((method = 'post') = (secret is not null)),
    constraint target_macro_policy_known check (unknown_macro in ('literal', 'empty')),
    constraint target_delay_sane check (delay_ms between 0 and 86400000),
    constraint target_failing_whole check ((failures = 0) = (failing_since is null)),
    constraint target_disabled_whole check ((disabled_at is null) = (disabled_reason is null))
);
comment on table jobs.postback_target is 'reference: where a publisher wants to hear of its conversions';
comment on column jobs.postback_target.program_id is 'only this program''s conversions; null: all of them';
comment on column jobs.postback_target.failures is 'failed attempts since the last that went well';
create index postback_target_of_publisher on jobs.postback_target (publisher_id);

create table jobs.delivery (
    id bigint not null generated always as identity,
    delivery_id uuid not null,
    target_id uuid not null,
    attempt integer not null,
    event text not null,
    conversion_id uuid,
    url text not null,
    sent_at timestamptz not null,
    took_ms integer not null,
    status integer,
    answer text not null,
    error text,
    constraint delivery_pk primary key (id),
    constraint delivery_of_target foreign key (target_id) references jobs.postback_target (id)
);
comment on table jobs.delivery is 'local: each attempt to tell a publisher, with code and the start of the answer, append-only';
comment on column jobs.delivery.delivery_id is 'what the receiver sees; the same in every attempt';
create index delivery_of_target_by_time on jobs.delivery (target_id, id desc);

create trigger delivery_is_append_only before update or delete or truncate on jobs.delivery
    for each statement execute function settlement.refuse_change();

grant select, insert, update on jobs.job, jobs.postback_target to counterfoil_service;
grant delete on jobs.job to counterfoil_service; -- what is done is forgotten some day
grant select, insert on jobs.delivery to counterfoil_service;
grant select on jobs.job, jobs.delivery to counterfoil_auditor;
-- All but the secret.
grant select (id, publisher_id, program_book_id, program_id, method, url, events, delay_ms,
              unknown_macro, expose_order_id, failures, failing_since, disabled_at,
              disabled_reason, created_at, created_by, changed_at, changed_by)
    on jobs.postback_target to counterfoil_auditor;

reset role;
