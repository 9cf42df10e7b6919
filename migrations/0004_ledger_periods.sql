-- Opening books and accounts, closing and reopening months, checkpoints.
--
-- A. Months close in order and for every book at once: close_period takes the network's lock, then
--    every book's, and moves the fence `closed_through`. The first month closed may be any.
-- B. A book opened later inherits the fence: open_books takes the same lock, shared.
-- C. What a close stated stays: period_close and period_balance are only added to; reopening stamps
--    who and why beside the old figures (period_close_once_open, period_reopened_whole).
-- D. Only the latest closed month can be reopened.
-- E. A checkpoint is what somebody outside keeps a copy of; it is never changed.
-- F. A code means one thing in a book: open_accounts refuses it as another kind, or as memorandum.

set local role counterfoil_owner;

create table ledger.period_close (
    month date not null,
    version integer not null,
    closed_at timestamptz not null,
    closed_by text not null,
    entries bigint not null,
    trial_balance_hash bytea not null,
    reopened_at timestamptz,
    reopened_by text,
    reopened_because text,
    constraint period_close_pk primary key (month, version),
    constraint period_close_first_day check (extract(day from month) = 1),
    constraint period_reopened_whole check (
        (reopened_at is null) = (reopened_by is null)
        and (reopened_at is null) = (reopened_because is null))
);
comment on table ledger.period_close is 'reference: each closing of a month; a reopened one keeps its row and figures';
create unique index period_close_once_open on ledger.period_close (month) where reopened_at is null;

create table ledger.period_balance (
    book_id bigint not null,
    month date not null,
    version integer not null,
    code text not null,
    currency text not null,
    memo boolean not null,
    debits numeric(38, 0) not null,
    credits numeric(38, 0) not null,
    constraint period_balance_pk primary key (book_id, month, version, code, currency, memo)
);
comment on table ledger.period_balance is 'distributed by book_id: the trial balance each close stated, cumulative, in minor units';

create table ledger.checkpoint (
    id uuid not null,
    taken_at timestamptz not null,
    taken_by text not null,
    reason text not null,
    root bytea not null,
    public_key bytea not null,
    signature bytea not null,
    constraint checkpoint_pk primary key (id),
    constraint checkpoint_root_is_sha256 check (octet_length(root) = 32)
);
comment on table ledger.checkpoint is 'reference: signed Merkle roots over all book heads';

create table ledger.checkpoint_book (
    book_id bigint not null,
    checkpoint_id uuid not null,
    number bigint not null,
    head bytea not null,
    constraint checkpoint_book_pk primary key (book_id, checkpoint_id)
);
comment on table ledger.checkpoint_book is 'distributed by book_id: each book''s latest number and hash at a checkpoint';

create trigger checkpoint_is_append_only before update or delete or truncate on ledger.checkpoint
    for each statement execute function ledger.refuse_change();
create trigger checkpoint_book_is_append_only before update or delete or truncate on ledger.checkpoint_book
    for each statement execute function ledger.refuse_change();
create trigger period_balance_is_append_only before update or delete or truncate on ledger.period_balance
    for each statement execute function ledger.refuse_change();
create trigger period_close_is_kept before delete or truncate on ledger.period_close
    for each statement execute function ledger.refuse_change();

-- The stamp of a reopening is the one change that a close takes, once.
create function ledger.keep_close() returns trigger
    language plpgsql
    set search_path = pg_catalog
as $$
begin
    if old.reopened_at is not null
       or to_jsonb(new) - array['reopened_at', 'reopened_by', 'reopened_because']
          <> to_jsonb(old) - array['reopened_at', 'reopened_by', 'reopened_because'] then
        raise exception 'ledger.period_close keeps what a close stated; reopen the month and close it again'
            using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$;
create trigger period_close_states_once before update on ledger.period_close
    for each row execute function ledger.keep_close();
alter table ledger.checkpoint enable always trigger checkpoint_is_append_only;
alter table ledger.checkpoint_book enable always trigger checkpoint_book_is_append_only;
alter table ledger.period_balance enable always trigger period_balance_is_append_only;
alter table ledger.period_close enable always trigger period_close_is_kept;
alter table ledger.period_close enable always trigger period_close_states_once;

-- The lock that opening a book shares and closing a month takes alone ("CF" and a purpose).
create function ledger.period_lock() returns bigint language sql immutable parallel safe
    return 17222001;

create function ledger.fence() returns date language sql stable
    return (select (max(month) + interval '1 month - 1 day')::date
            from ledger.period_close where reopened_at is null);
comment on function ledger.fence is 'last day of the latest closed month; null before the first close';

create function ledger.open_books(p_now timestamptz, p_by text, p_names text[]) returns setof bigint
    language plpgsql volatile security definer
    set search_path = pg_catalog
as $$
begin
    perform pg_advisory_xact_lock_shared(ledger.period_lock());
    return query
    insert into ledger.book (id, name, head, closed_through, opened_at, opened_by)
    select distinct ledger.short_id('book' || chr(31) || n), n,
           sha256(convert_to('book' || chr(31) || n, 'UTF8')), ledger.fence(), p_now, p_by
    from unnest(p_names) n
    order by 1 -- two sessions opening the same books wait, and never deadlock
    on conflict (id) do nothing
    returning id;
end $$;

create function ledger.open_accounts(p_now timestamptz, p_by text, p_books bigint[], p_codes text[],
    p_kinds text[], p_memos boolean[], p_currencies text[], p_floored boolean[], p_dimensions jsonb[])
    returns integer
    language plpgsql volatile security definer
    set search_path = pg_catalog
    set enable_seqscan = off
    set enable_hashjoin = off
    set enable_mergejoin = off
as $$
declare
    wanted integer;
    opened integer;
    clash text;
begin
    with missing as materialized (
        select distinct i.*
        from (
            select u.*, ledger.account_id(u.book_id, u.code, u.kind, u.memo, u.currency, u.floored,
                                          u.dimensions) as id
            from unnest(p_books, p_codes, p_kinds, p_memos, p_currencies, p_floored, p_dimensions)
                 as u (book_id, code, kind, memo, currency, floored, dimensions)
        ) i
        where not exists (
            select 1 from ledger.account a where a.book_id = i.book_id and a.id = i.id)
    ), other as (
        -- One account stands for all of its code, since none of another kind gets past here.
        select m.book_id, m.code, m.kind, m.memo, a.kind as other_kind, a.memo as other_memo
        from missing m
        cross join lateral (
            select a.kind, a.memo from ledger.account a
            where a.book_id = m.book_id and a.code = m.code
            limit 1
        ) a
        where (a.kind, a.memo) <> (m.kind, m.memo)
        union all
        select m.book_id, m.code, m.kind, m.memo, n.kind, n.memo
        from missing m
        join missing n on n.book_id = m.book_id and n.code = m.code
        where (n.kind, n.memo) < (m.kind, m.memo)
    ), added as (
        insert into ledger.account (book_id, id, code, kind, memo, currency, floored, dimensions,
                                    opened_at, opened_by)
        select m.book_id, m.id, m.code, m.kind, m.memo, m.currency, m.floored, m.dimensions, p_now, p_by
        from missing m
        order by m.book_id, m.id -- two sessions opening the same accounts wait, and never deadlock
        on conflict do nothing
        returning 1
    )
    select (select count(*) from missing), (select count(*) from added),
           (select format('account %s of book %s is %s; it cannot also be opened as %s', o.code, o.book_id,
                          concat_ws(' ', case when o.other_memo then 'memorandum' end, o.other_kind),
                          concat_ws(' ', case when o.memo then 'memorandum' end, o.kind))
            from other o limit 1)
    into wanted, opened, clash;
    if clash is not null then
        raise exception '%', clash using errcode = 'check_violation';
    end if;
    if opened < wanted then
        -- Somebody else opened them meanwhile, or they differ from open ones in kind or floor.
        select format('account %s %s of book %s is open with another kind or floor', u.code, u.currency,
                      u.book_id)
        into clash
        from unnest(p_books, p_codes, p_kinds, p_memos, p_currencies, p_floored, p_dimensions)
             as u (book_id, code, kind, memo, currency, floored, dimensions)
        where not exists (
            select 1 from ledger.account a
            where a.book_id = u.book_id
              and a.id = ledger.account_id(u.book_id, u.code, u.kind, u.memo, u.currency, u.floored,
                                           u.dimensions))
        limit 1;
        if clash is not null then
            raise exception '%', clash using errcode = 'unique_violation', constraint = 'account_once';
        end if;
    end if;
    return opened;
end $$;

create function ledger.trial_balance_hash(p_month date, p_version integer) returns bytea
    language sql stable
    set search_path = pg_catalog
as $$
    select sha256(convert_to(coalesce(string_agg(
        concat_ws(' ', book_id, code, currency, memo, debits, credits), chr(10)
        order by book_id, code collate "C", currency collate "C", memo), ''), 'UTF8'))
    from ledger.period_balance where month = p_month and version = p_version
$$;
comment on function ledger.trial_balance_hash is 'SHA-256 over a stored trial balance, one line per book, code and currency';

create function ledger.close_period(p_now timestamptz, p_by text, p_month date)
    returns table (version integer, entries bigint, trial_balance_hash bytea)
    language plpgsql volatile security definer
    set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
    next_open date;
    first_ever date;
    last_day date := (p_month + interval '1 month - 1 day')::date;
    this_version integer;
    counted bigint;
begin
    perform pg_advisory_xact_lock(ledger.period_lock());
    if extract(day from p_month) <> 1 then
        raise exception 'a month is named by its first day, not %', p_month
            using errcode = 'invalid_parameter_value';
    end if;
    next_open := ledger.fence() + 1;
    if next_open is null then
        -- All are reopened: earlier months may be begun with, none may be left out.
        select min(c.month) into first_ever from ledger.period_close c where c.month < p_month;
        next_open := coalesce(first_ever, p_month);
    end if;
    if p_month <> next_open then
        raise exception 'period % cannot be closed: %', to_char(p_month, 'YYYY-MM'),
            case when p_month < next_open then 'it is closed already'
                 else 'close ' || to_char(next_open, 'YYYY-MM') || ' first' end
            using errcode = 'object_not_in_prerequisite_state',
                  detail = case when p_month < next_open then 'closed_already' else 'out_of_order' end,
                  hint = to_char(next_open, 'YYYY-MM');
    end if;
    perform 1 from ledger.book b order by b.id for no key update;
    update ledger.book set closed_through = last_day;

    select coalesce(max(c.version), 0) + 1 into this_version
    from ledger.period_close c where c.month = p_month;
    insert into ledger.period_balance (book_id, month, version, code, currency, memo, debits, credits)
    select a.book_id, p_month, this_version, a.code, a.currency, a.memo, sum(d.debits), sum(d.credits)
    from ledger.account_day d
    join ledger.account a on a.book_id = d.book_id and a.id = d.account_id
    where d.day <= last_day
    group by a.book_id, a.code, a.currency, a.memo;
    select coalesce(sum(b.next_number - 1), 0) into counted from ledger.book b;
    return query
    insert into ledger.period_close as c (month, version, closed_at, closed_by, entries, trial_balance_hash)
    values (p_month, this_version, p_now, p_by, counted,
            ledger.trial_balance_hash(p_month, this_version))
    returning c.version, c.entries, c.trial_balance_hash;
end $$;

create function ledger.reopen_period(p_now timestamptz, p_by text, p_month date, p_because text)
    returns void
    language plpgsql volatile security definer
    set search_path = pg_catalog
as $$
declare
    latest date;
begin
    perform pg_advisory_xact_lock(ledger.period_lock());
    select max(month) into latest from ledger.period_close where reopened_at is null;
    if p_month is distinct from latest then
        raise exception 'period % cannot be reopened: %', to_char(p_month, 'YYYY-MM'),
            coalesce('only the latest closed one, ' || to_char(latest, 'YYYY-MM') || ', can',
                     'no period is closed')
            using errcode = 'object_not_in_prerequisite_state',
                  detail = case when latest is null then 'none_closed' else 'not_latest' end,
                  hint = coalesce(to_char(latest, 'YYYY-MM'), '');
    end if;
    if coalesce(trim(p_because), '') = '' then
        raise exception 'reopening period % needs a reason', to_char(p_month, 'YYYY-MM')
            using errcode = 'invalid_parameter_value';
    end if;
    perform 1 from ledger.book b order by b.id for no key update;
    update ledger.period_close
    set reopened_at = p_now, reopened_by = p_by, reopened_because = p_because
    where month = p_month and reopened_at is null;
    update ledger.book set closed_through = ledger.fence();
end $$;

create function ledger.record_checkpoint(p_now timestamptz, p_by text, p_id uuid, p_reason text,
    p_root bytea, p_public_key bytea, p_signature bytea, p_books bigint[], p_numbers bigint[],
    p_heads bytea[]) returns void
    language plpgsql volatile security definer
    set search_path = pg_catalog
as $$
begin
    insert into ledger.checkpoint (id, taken_at, taken_by, reason, root, public_key, signature)
    values (p_id, p_now, p_by, p_reason, p_root, p_public_key, p_signature);
    insert into ledger.checkpoint_book (book_id, checkpoint_id, number, head)
    select u.book_id, p_id, u.number, u.head
    from unnest(p_books, p_numbers, p_heads) as u (book_id, number, head);
end $$;

revoke all on all functions in schema ledger from public;
grant execute on function ledger.open_books, ledger.open_accounts, ledger.close_period,
    ledger.reopen_period, ledger.record_checkpoint, ledger.fence, ledger.period_lock,
    ledger.trial_balance_hash to counterfoil_service;
grant execute on function ledger.fence, ledger.trial_balance_hash to counterfoil_auditor;
grant select on all tables in schema ledger to counterfoil_service, counterfoil_auditor;

reset role;
