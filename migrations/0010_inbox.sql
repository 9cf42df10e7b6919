-- Deliveries of store webhooks: kept once, without what is personal, and acted on in the same
-- database transaction.
--
-- A. A delivery counts once: inbox_pk. Its body is kept as a hash, and as the facts read from it.
-- B. What was received never changes; only its outcome is filled in, once:
--    inbox_outcome_is_final, inbox_is_never_emptied, and the grant on that one column.
-- C. One order of one store has one row, which its deliveries lock: store_order_pk.
-- D. A store of a kind belongs to one program: store_connection_once.

set local role counterfoil_owner;

create table settlement.store_connection (
    id uuid not null,
    source text not null,
    store text not null,
    book_id bigint not null,
    program_id uuid not null,
    order_prefix text not null,
    secrets text[] not null,
    header text,
    mode text,
    auto_approve_on_paid boolean not null,
    record_all boolean not null,
    created_at timestamptz not null,
    created_by text not null,
    ended_at timestamptz,
    constraint store_connection_pk primary key (id),
    constraint store_connection_mode_known
        check (mode in ('plain', 'sha256', 'hmac-sha256', 'none'))
);
comment on table settlement.store_connection is 'reference: which store reports to which program, and the secrets its deliveries are signed with';
comment on column settlement.store_connection.store is 'domain, merchant number or account as the sender names it; * for any';
comment on column settlement.store_connection.order_prefix is 'stands before the store''s order ids, where two stores of a program number alike';
comment on column settlement.store_connection.secrets is 'newest first, several while one is replaced; readable to the service only, not yet encrypted at rest';
comment on column settlement.store_connection.auto_approve_on_paid is 'also where the program''s terms do not';
comment on column settlement.store_connection.record_all is 'also orders that nobody referred';
create unique index store_connection_once on settlement.store_connection (source, store)
    where ended_at is null;

create table settlement.inbox (
    book_id bigint not null,
    source text not null,
    delivery_key text not null,
    connection_id uuid not null,
    topic text not null,
    body_hash bytea not null,
    order_key text,
    facts jsonb not null,
    received_at timestamptz not null,
    received_by text not null,
    outcome jsonb,
    constraint inbox_pk primary key (book_id, source, delivery_key),
    constraint inbox_hash_long check (length(body_hash) = 32)
);
comment on table settlement.inbox is 'distributed by book_id: what stores delivered, once each, append-only but for the outcome';
comment on column settlement.inbox.body_hash is 'SHA-256 of the bytes that were signed; the bytes themselves are not kept';
comment on column settlement.inbox.facts is 'what was read from the body, with the sender''s event times; nothing else of it is kept';
comment on column settlement.inbox.order_key is 'the order it is about, by the store''s id or an alias of it';
create index inbox_of_order on settlement.inbox (book_id, connection_id, order_key)
    where order_key is not null;

create table settlement.store_order (
    book_id bigint not null,
    connection_id uuid not null,
    order_key text not null,
    alias_of text,
    applied text not null,
    constraint store_order_pk primary key (book_id, connection_id, order_key),
    constraint store_order_applied_known check (applied in ('nothing', 'hold', 'reversal'))
);
comment on table settlement.store_order is 'distributed by book_id: an order of a store, locked while one of its deliveries is acted on';
comment on column settlement.store_order.alias_of is 'the order it really is, where a sender names one by several ids';
comment on column settlement.store_order.applied is 'what its deliveries brought about and may take back: nobody else''s hold or reversal';
create index store_order_of_alias on settlement.store_order (book_id, connection_id, alias_of)
    where alias_of is not null;

create trigger inbox_is_never_emptied before delete or truncate on settlement.inbox
    for each statement execute function settlement.refuse_change();
create trigger inbox_outcome_is_final before update on settlement.inbox
    for each row when (old.outcome is not null) execute function settlement.refuse_change();

grant select on settlement.inbox, settlement.store_order
    to counterfoil_service, counterfoil_auditor;
grant insert on settlement.inbox, settlement.store_order, settlement.store_connection
    to counterfoil_service;
grant update (outcome) on settlement.inbox to counterfoil_service;
grant update (alias_of, applied) on settlement.store_order to counterfoil_service;
grant select on settlement.store_connection to counterfoil_service;
grant update (secrets, ended_at) on settlement.store_connection to counterfoil_service;
grant select (id, source, store, book_id, program_id, order_prefix, header, mode,
              auto_approve_on_paid, record_all, created_at, created_by, ended_at)
    on settlement.store_connection to counterfoil_auditor;

reset role;
