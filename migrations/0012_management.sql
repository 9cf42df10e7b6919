-- Management: who changed a party, when, why, and what it was before.
--
-- A. A change is kept for ever: party_change_is_append_only.
-- B. The changes of one subject are numbered without gaps from 1: party_change_pk, with the
--    subject's own row locked while its next change is written.

set local role counterfoil_owner;

create table settlement.party_change (
    subject text not null,
    version integer not null,
    action text not null,
    reason text not null,
    before jsonb,
    after jsonb not null,
    changed_at timestamptz not null,
    changed_by text not null,
    constraint party_change_pk primary key (subject, version),
    constraint party_change_numbered check (version > 0)
);
comment on table settlement.party_change is 'reference: each change of a brand, publisher, program, enrolment or coupon, append-only';
comment on column settlement.party_change.subject is 'kind and id: publisher:…, program:…, enrolment:program/publisher';
comment on column settlement.party_change.before is 'the row before; null when it was created';
create index party_change_by_time on settlement.party_change (changed_at, subject, version);

create trigger party_change_is_append_only before update or delete or truncate
    on settlement.party_change for each statement execute function settlement.refuse_change();

grant select on settlement.party_change to counterfoil_service, counterfoil_auditor;
grant insert on settlement.party_change to counterfoil_service;

reset role;
