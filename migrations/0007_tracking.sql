-- Clicks: where links lead, who clicked, and what a click was recorded with.
--
-- A. Raw rows (click, click_request) never change: click_is_append_only,
--    click_request_is_append_only.
-- B. A word in a link's address leads to one program and publisher, whatever path it stands
--    behind: link_pk. It is never handed to somebody else: only its end can be written.
-- C. How a program is tracked is added version by version, never edited:
--    program_tracking_is_append_only.
-- D. Whatever changes where a link leads is announced when it commits: the *_is_announced triggers.
-- E. Nobody but the service reads what signs tokens and salts addresses.

set local role counterfoil_owner;

create table settlement.program_tracking (
    book_id bigint not null,
    program_id uuid not null,
    version integer not null,
    dest_url text not null,
    fallback_url text,
    profile jsonb not null,
    created_at timestamptz not null,
    created_by text not null,
    constraint program_tracking_pk primary key (book_id, program_id, version),
    constraint program_tracking_of_program foreign key (book_id, program_id)
        references settlement.program (book_id, id),
    constraint program_tracking_dest_is_web check (dest_url ~ '^https?://'),
    constraint program_tracking_fallback_is_web check (fallback_url ~ '^https?://')
);
comment on table settlement.program_tracking is 'distributed by book_id: where a program''s links lead and how its clicks are marked, by version; the latest counts';
comment on column settlement.program_tracking.profile is 'parameter, cookies, click window, allowed referrers and hosts';

create table settlement.link (
    slug text not null,
    kind text not null,
    book_id bigint not null,
    program_id uuid not null,
    publisher_id uuid not null,
    dest_url text,
    campaign text,
    created_at timestamptz not null,
    created_by text not null,
    ended_at timestamptz,
    ended_by text,
    constraint link_pk primary key (slug),
    constraint link_of_publisher foreign key (publisher_id) references settlement.publisher (id),
    constraint link_kind_known check (kind in ('slug', 'code', 'key', 'product')),
    constraint link_slug_safe check (slug ~ '^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$'),
    constraint link_dest_is_web check (dest_url ~ '^https?://'),
    constraint link_ended_whole check ((ended_at is null) = (ended_by is null))
);
comment on table settlement.link is 'reference: a word in a link''s address, and the program and publisher behind it';
comment on column settlement.link.dest_url is 'a page of the program''s own hosts to lead to; null leads to the program''s';
create index link_of_enrolment on settlement.link (book_id, program_id, publisher_id);

create table settlement.click (
    book_id bigint not null,
    id uuid not null,
    program_id uuid not null,
    publisher_id uuid not null,
    clicked_at timestamptz not null,
    expires_at timestamptz,
    link text,
    tracking_id text,
    visitor text,
    session text,
    sub1 text,
    sub2 text,
    sub3 text,
    sub4 text,
    sub5 text,
    reason text,
    duplicate_of uuid,
    recorded_at timestamptz not null,
    recorded_by text not null,
    constraint click_pk primary key (book_id, id)
);
comment on table settlement.click is 'distributed by book_id: raw clicks, append-only';
comment on column settlement.click.visitor is 'who clicked, as far as the store tells: an opaque id, never a name';
comment on column settlement.click.reason is 'why it can earn nobody anything; null: it can';
comment on column settlement.click.duplicate_of is 'the click it repeats within the program''s window: affects counts, never attribution';
create index click_by_visitor on settlement.click (book_id, program_id, visitor, clicked_at desc)
    where visitor is not null;
create index click_of_publisher on settlement.click (book_id, program_id, publisher_id, clicked_at);

create table settlement.click_request (
    book_id bigint not null,
    id uuid not null,
    path text not null,
    method text not null,
    ip_hash bytea,
    salt_day date,
    user_agent text,
    country text,
    referrer text,
    landing_url text,
    utm_source text,
    utm_medium text,
    utm_campaign text,
    utm_term text,
    utm_content text,
    fetch_site text,
    fetch_mode text,
    fetch_dest text,
    purpose text,
    recorded_at timestamptz not null,
    constraint click_request_pk primary key (book_id, id),
    constraint click_request_salt_named check ((ip_hash is null) = (salt_day is null))
);
comment on table settlement.click_request is 'distributed by book_id: the request behind a click as it came, append-only';
comment on column settlement.click_request.ip_hash is 'HMAC of the address with the salt of salt_day; never the address';

create table settlement.token_key (
    kid text not null,
    secret bytea not null,
    created_at timestamptz not null,
    created_by text not null,
    constraint token_key_pk primary key (kid),
    constraint token_key_kid_safe check (kid ~ '^[A-Za-z0-9_-]{1,16}$'),
    constraint token_key_secret_long check (length(secret) = 32)
);
comment on table settlement.token_key is 'reference: keys that sign click tokens; the newest signs, all verify';

create table settlement.ip_salt (
    day date not null,
    salt bytea not null,
    created_at timestamptz not null,
    constraint ip_salt_pk primary key (day),
    constraint ip_salt_long check (length(salt) = 32)
);
comment on table settlement.ip_salt is 'reference: salts of visitors'' addresses, one a day (UTC); a day whose salt is gone can be matched by nobody';

create trigger click_is_append_only before update or delete or truncate on settlement.click
    for each statement execute function settlement.refuse_change();
create trigger click_request_is_append_only
    before update or delete or truncate on settlement.click_request
    for each statement execute function settlement.refuse_change();
create trigger program_tracking_is_append_only
    before update or delete or truncate on settlement.program_tracking
    for each statement execute function settlement.refuse_change();

create function settlement.announce_links() returns trigger
    language plpgsql
as $$
begin
    perform pg_notify('settlement_links', tg_table_name);
    return null;
end $$;

create trigger link_is_announced after insert or update or delete on settlement.link
    for each statement execute function settlement.announce_links();
create trigger program_tracking_is_announced after insert on settlement.program_tracking
    for each statement execute function settlement.announce_links();
create trigger program_is_announced after insert or update or delete on settlement.program
    for each statement execute function settlement.announce_links();
create trigger publisher_is_announced after insert or update or delete on settlement.publisher
    for each statement execute function settlement.announce_links();
create trigger enrolment_is_announced after insert or update or delete on settlement.enrolment
    for each statement execute function settlement.announce_links();
create trigger token_key_is_announced after insert or update or delete on settlement.token_key
    for each statement execute function settlement.announce_links();

grant select, insert on settlement.program_tracking, settlement.link, settlement.click,
    settlement.click_request, settlement.token_key, settlement.ip_salt to counterfoil_service;
grant update (ended_at, ended_by) on settlement.link to counterfoil_service;
grant delete on settlement.ip_salt to counterfoil_service;
grant select on settlement.program_tracking, settlement.link, settlement.click,
    settlement.click_request to counterfoil_auditor;

reset role;
