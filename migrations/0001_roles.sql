-- Roles and schemas.
--
-- A. The owner of every table cannot log in: nobody works as the owner by accident.
-- B. The service role owns nothing; what it may do is granted table by table.
-- C. The auditor role reads everything and changes nothing.
-- D. One Postgres schema per crate: a crate writes only its own.
--
-- Roles belong to the cluster, not to the database, so each is made only when missing, and two
-- databases migrated at the same moment do not trip over each other.

do $$
begin
    if pg_encoding_to_char((select encoding from pg_database where datname = current_database()))
       <> 'UTF8' then
        raise exception 'database % is not encoded in UTF8; create it with: create database … encoding ''UTF8''',
            current_database();
    end if;
end $$;

do $$
declare
    made record;
begin
    for made in
        select * from (values ('counterfoil_owner', 'nologin'),
                              ('counterfoil_service', 'login'),
                              ('counterfoil_auditor', 'login')) as r (name, login)
    loop
        if not exists (select 1 from pg_roles where rolname = made.name) then
            begin
                execute format('create role %I %s', made.name, made.login);
            exception when duplicate_object or unique_violation then
                null; -- another database on this cluster was quicker
            end;
        end if;
        -- A superuser may become anybody; anybody else needs to be a member first.
        if not pg_has_role(current_user, made.name, 'member') then
            begin
                execute format('grant %I to current_user', made.name);
            exception when unique_violation then
                null;
            end;
        end if;
    end loop;
end $$;

do $$
begin
    execute format('grant create, connect on database %I to counterfoil_owner', current_database());
    execute format('grant connect on database %I to counterfoil_service, counterfoil_auditor',
                   current_database());
end $$;

create schema ledger authorization counterfoil_owner;
create schema settlement authorization counterfoil_owner;
create schema jobs authorization counterfoil_owner;

comment on schema ledger is 'books, accounts, journal entries, periods, proofs; written by ledger.* functions only';
comment on schema settlement is 'the life of a commission: click, order, attribution, conversion';
comment on schema jobs is 'what happens by itself or leaves the building';

-- Whoever works with the schema may see which version it is.
do $$
begin
    if to_regclass('migrations.applied') is not null then
        grant usage on schema migrations to counterfoil_service, counterfoil_auditor;
        grant select on migrations.applied to counterfoil_service, counterfoil_auditor;
    end if;
end $$;

grant usage on schema ledger, settlement, jobs to counterfoil_service, counterfoil_auditor;
