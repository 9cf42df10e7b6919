-- Who a user is, who brought them, and whose codes they use: what attribution reads beside clicks.
--
-- Users are known by a keyed hash of book and id only; the id itself is stored nowhere.
--
-- A. Who was recognised at which click is only ever added to: identity_is_append_only.
-- B. A user of a brand is claimed once, and the first claim stands whoever comes later and however
--    many come at once: claim_pk, claim_is_append_only.
-- C. Of a shared conversion each share is kept at each version: credit_pk, credit_is_append_only.
-- D. A code belongs to one publisher at a time: coupon_pk; a later one follows, none is edited but
--    to be ended.

set local role counterfoil_owner;

create table settlement.user_key (
    id boolean not null default true,
    key bytea not null default sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())),
    constraint user_key_pk primary key (id),
    constraint user_key_is_one check (id)
);
comment on table settlement.user_key is 'reference: the secret that user ids are hashed with; without it a hash can be compared with no list of ids';
insert into settlement.user_key default values;

create function settlement.user_hash(p_book_id bigint, p_user_id text) returns bytea
    language sql stable strict
as $$
    select sha256(k.key || int8send(p_book_id) || convert_to(p_user_id, 'UTF8'))
    from settlement.user_key k
$$;
comment on function settlement.user_hash is 'who a user is in one book; the same as settlement::identity::UserKey in Rust';

create table settlement.identity (
    book_id bigint not null,
    user_hash bytea not null,
    click_id uuid not null,
    visitor text,
    identified_at timestamptz not null,
    recorded_by text not null,
    constraint identity_pk primary key (book_id, user_hash, click_id)
);
comment on table settlement.identity is 'distributed by book_id: which user was recognised at which click, append-only';
comment on column settlement.identity.visitor is 'who clicked, as far as it was known by then';
create index identity_by_click on settlement.identity (book_id, click_id);
create index identity_by_visitor on settlement.identity (book_id, visitor) where visitor is not null;

create table settlement.claim (
    book_id bigint not null,
    user_hash bytea not null,
    publisher_id uuid not null,
    first_click_at timestamptz not null,
    claimed_at timestamptz not null,
    claimed_by text not null,
    constraint claim_pk primary key (book_id, user_hash),
    constraint claim_of_publisher foreign key (publisher_id) references settlement.publisher (id),
    constraint claim_follows_its_click check (first_click_at <= claimed_at)
);
comment on table settlement.claim is 'distributed by book_id: who brought a user to sign up; the first claim stands, append-only';

create table settlement.coupon (
    book_id bigint not null,
    program_id uuid not null,
    code text not null,
    valid_from timestamptz not null,
    publisher_id uuid not null,
    ended_at timestamptz,
    created_at timestamptz not null,
    created_by text not null,
    constraint coupon_pk primary key (book_id, program_id, code, valid_from),
    constraint coupon_of_program foreign key (book_id, program_id)
        references settlement.program (book_id, id),
    constraint coupon_of_publisher foreign key (publisher_id) references settlement.publisher (id),
    constraint coupon_code_is_not_empty check (code <> ''),
    constraint coupon_ends_after_it_begins check (ended_at > valid_from)
);
comment on table settlement.coupon is 'distributed by book_id: whose code it is, from when; the latest that had begun counts';

create table settlement.credit (
    book_id bigint not null,
    conversion_id uuid not null,
    version integer not null,
    position smallint not null,
    publisher_id uuid not null,
    click_id uuid,
    weight bigint not null,
    publisher_due bigint not null,
    constraint credit_pk primary key (book_id, conversion_id, version, position),
    constraint credit_of_conversion foreign key (book_id, conversion_id)
        references settlement.conversion (book_id, id) deferrable initially deferred,
    constraint credit_weighs_something check (weight > 0),
    constraint credit_owes_or_not check (publisher_due >= 0)
);
comment on table settlement.credit is 'distributed by book_id: who earns what of a conversion that several publishers share, by its version, append-only; minor units';
create index credit_of_publisher on settlement.credit (book_id, publisher_id);

create view settlement.earning as
    select c.book_id, c.id as conversion_id, c.program_id, c.currency, 1::smallint as position,
           c.publisher_id, c.click_id, c.publisher_due
    from settlement.conversion c
    where c.credit_version is null and c.publisher_id is not null
    union all
    select c.book_id, c.id, c.program_id, c.currency, k.position, k.publisher_id, k.click_id,
           k.publisher_due
    from settlement.conversion c
    join settlement.credit k on k.book_id = c.book_id and k.conversion_id = c.id
         and k.version = c.credit_version;
comment on view settlement.earning is 'who earns what of each conversion now: one row where one publisher earns it, one per credited touch where several share it';

create function settlement.claim_affiliate_attribution(
    p_user_id text, p_affiliate_id uuid, p_first_click_at timestamptz
) returns boolean
    language plpgsql
as $$
declare
    v_brand text := nullif(current_setting('counterfoil.brand', true), '');
    v_books bigint[];
begin
    if p_user_id is null or p_user_id = '' or p_affiliate_id is null or p_first_click_at is null then
        raise exception 'a claim needs a user, an affiliate and the time of the first click'
            using errcode = 'invalid_parameter_value';
    end if;
    -- A program whose terms in force say that a claim counts, and in which the publisher takes part.
    select array_agg(distinct p.book_id) into v_books
    from settlement.program p
    join settlement.brand b on b.id = p.brand_id and (v_brand is null or b.name = v_brand)
    join settlement.enrolment e on e.book_id = p.book_id and e.program_id = p.id
         and e.publisher_id = p_affiliate_id and e.earns @> now()
    cross join lateral (
        select t.attribution from settlement.program_terms t
        where t.book_id = p.book_id and t.program_id = p.id and t.effective_from <= now()
        order by t.version desc limit 1
    ) t
    where (t.attribution ->> 'claim_at_signup')::boolean;
    if cardinality(v_books) is null then
        raise exception 'affiliate % takes part in no program that is claimed at signup', p_affiliate_id
            using errcode = 'foreign_key_violation';
    elsif cardinality(v_books) > 1 then
        raise exception 'affiliate % takes part in several brands; say which: set local counterfoil.brand = ''Name''', p_affiliate_id
            using errcode = 'ambiguous_parameter';
    end if;
    insert into settlement.claim (book_id, user_hash, publisher_id, first_click_at, claimed_at,
                                  claimed_by)
    values (v_books[1], settlement.user_hash(v_books[1], p_user_id), p_affiliate_id,
            least(p_first_click_at, now()), now(), session_user)
    on conflict (book_id, user_hash) do nothing;
    return found;
end $$;
comment on function settlement.claim_affiliate_attribution is 'claims a user for the affiliate whose link was clicked first: true if this call did; any later call changes nothing';

create trigger identity_is_append_only before update or delete or truncate on settlement.identity
    for each statement execute function settlement.refuse_change();
create trigger credit_is_append_only before update or delete or truncate on settlement.credit
    for each statement execute function settlement.refuse_change();
create trigger claim_is_append_only before update or delete or truncate on settlement.claim
    for each statement execute function settlement.refuse_change();

grant select on settlement.identity, settlement.claim, settlement.coupon, settlement.credit,
    settlement.earning
    to counterfoil_service, counterfoil_auditor;
grant insert on settlement.identity, settlement.claim, settlement.coupon, settlement.credit
    to counterfoil_service;
grant update (ended_at) on settlement.coupon to counterfoil_service;
grant select on settlement.user_key to counterfoil_service;

reset role;

-- Where callers look for it, who know no schema of ours.
create function public.claim_affiliate_attribution(
    p_user_id text, p_affiliate_id uuid, p_first_click_at timestamptz
) returns boolean
    language sql
as $$
    select settlement.claim_affiliate_attribution(p_user_id, p_affiliate_id, p_first_click_at)
$$;
