-- How conversions come in: who may report them, and what was odd about what they reported.
--
-- A. A key is not kept, only its SHA-256; it is found by it: api_key_hash_once.
-- B. A key speaks for exactly one party, and for that party only: api_key_speaks_for_one.
-- C. A revoked key stays, with who revoked it and when: api_key_revoked_whole, no delete granted.
-- D. A request with an `Idempotency-Key` is done once; its answer is kept with the hash of its body:
--    api_request_pk.
-- E. What a report says other than the books do is kept for an auditor, once, and never changes:
--    discrepancy_pk, discrepancy_is_append_only.
-- F. A refused postback leaves its numbered outcome: postback_outcome_is_append_only.

set local role counterfoil_owner;

create table settlement.api_key (
    id uuid not null,
    hash bytea not null,
    name text not null,
    hint text not null,
    mode text not null,
    role text not null,
    book_id bigint,
    publisher_id uuid,
    scopes text[] not null,
    networks text[] not null,
    created_at timestamptz not null,
    created_by text not null,
    replaces uuid,
    revoked_at timestamptz,
    revoked_by text,
    constraint api_key_pk primary key (id),
    constraint api_key_hash_once unique (hash),
    constraint api_key_hash_is_sha256 check (octet_length(hash) = 32),
    constraint api_key_mode_known check (mode in ('live', 'test')),
    constraint api_key_role_known check (role in ('network', 'brand', 'publisher')),
    constraint api_key_speaks_for_one check (
        (role = 'brand') = (book_id is not null)
        and (role = 'publisher') = (publisher_id is not null)),
    constraint api_key_revoked_whole check ((revoked_at is null) = (revoked_by is null)),
    constraint api_key_of_publisher foreign key (publisher_id) references settlement.publisher (id),
    constraint api_key_replaces_one foreign key (replaces) references settlement.api_key (id)
);
comment on table settlement.api_key is 'reference: API keys, by the SHA-256 of each; a key itself is shown once and kept nowhere';
comment on column settlement.api_key.hint is 'how the key begins and ends, for people to tell keys apart';
comment on column settlement.api_key.networks is 'CIDR ranges it may be used from; none given means from anywhere';
comment on column settlement.api_key.replaces is 'the key it was rotated from';
comment on column settlement.api_key.revoked_at is 'from then on it is refused; may lie ahead, after a rotation';

create table settlement.api_request (
    book_id bigint not null,
    caller text not null,
    idempotency_key text not null,
    route text not null,
    body_hash bytea not null,
    status integer,
    response text,
    created_at timestamptz not null,
    constraint api_request_pk primary key (book_id, caller, idempotency_key),
    constraint api_request_answered_whole check ((status is null) = (response is null))
);
comment on table settlement.api_request is 'distributed by book_id: what requests with an Idempotency-Key were answered; the network''s own lie in the house book';
comment on column settlement.api_request.caller is 'whose key it was: network, brand or a publisher; survives a rotation of the API key';
create index api_request_by_age on settlement.api_request (created_at);

create table settlement.program_intake (
    book_id bigint not null,
    program_id uuid not null,
    strict_duplicates boolean not null,
    postback_max_age_days integer,
    changed_at timestamptz not null,
    changed_by text not null,
    constraint program_intake_pk primary key (book_id, program_id),
    constraint program_intake_of_program foreign key (book_id, program_id)
        references settlement.program (book_id, id),
    constraint program_intake_age_sane check (postback_max_age_days between 1 and 365)
);
-- Senders name a program by its id alone.
create index program_by_id on settlement.program (id);

comment on table settlement.program_intake is 'distributed by book_id: how strict a program is with what is reported to it; none means not at all';

create table settlement.discrepancy (
    book_id bigint not null,
    id uuid not null,
    program_id uuid not null,
    order_ref text not null,
    kind text not null,
    reported text not null,
    stands text not null,
    noticed_at timestamptz not null,
    noticed_by text not null,
    constraint discrepancy_pk primary key (book_id, id),
    constraint discrepancy_kind_known check (kind in ('order_amount', 'commission_amount', 'late'))
);
comment on table settlement.discrepancy is 'distributed by book_id: what a report said other than the books do; nothing was changed by it';
comment on column settlement.discrepancy.id is 'follows from program, order, kind and what was reported, so that a repeated report is one row';
comment on column settlement.discrepancy.reported is 'the amount with its currency, or the order''s time, as reported';
create index discrepancy_of_order on settlement.discrepancy (book_id, program_id, order_ref);

create table settlement.postback_outcome (
    id uuid not null,
    book_id bigint,
    received_at timestamptz not null,
    path text not null,
    query text not null,
    code integer not null,
    name text not null,
    detail text not null,
    key_id uuid,
    constraint postback_outcome_pk primary key (id)
);
comment on table settlement.postback_outcome is 'local: postbacks that were not recorded, with the number of the reason; tokens are taken out of the query';
comment on column settlement.postback_outcome.code is 'the numbers of TUNE''s conversion statuses, such as 12 duplicate and 19 bad token';
create index postback_outcome_by_time on settlement.postback_outcome (received_at);

create trigger discrepancy_is_append_only
    before update or delete or truncate on settlement.discrepancy
    for each statement execute function settlement.refuse_change();
create trigger postback_outcome_is_append_only
    before update or delete or truncate on settlement.postback_outcome
    for each statement execute function settlement.refuse_change();

grant select on settlement.api_request, settlement.program_intake, settlement.discrepancy,
    settlement.postback_outcome to counterfoil_service, counterfoil_auditor;
grant insert on settlement.api_key, settlement.api_request, settlement.program_intake,
    settlement.discrepancy, settlement.postback_outcome to counterfoil_service;
grant select on settlement.api_key to counterfoil_service;
grant update (revoked_at, revoked_by) on settlement.api_key to counterfoil_service;
grant update (status, response) on settlement.api_request to counterfoil_service;
grant update on settlement.program_intake to counterfoil_service;
-- An auditor sees who may do what, but no hash to try keys against.
grant select (id, name, hint, mode, role, book_id, publisher_id, scopes, networks, created_at,
              created_by, replaces, revoked_at, revoked_by)
    on settlement.api_key to counterfoil_auditor;

reset role;
