-- The one door: ledger.post writes entry, line, account_day and book together, or nothing.
--
-- A. The books of a batch are locked first, in id order; everything after sees what that lock protects,
--    because each statement of a volatile function takes a new snapshot.
-- B. Each entry is answered by itself: posted, replayed (with the first receipt), conflict or refused.
-- C. A refused entry takes no number and spoils no other.
-- D. A floored account cannot fall below zero: such entries are judged one after the other.
-- E. A reversal mirrors its entry exactly, and an entry not in force cannot be reversed again.
-- F. The service role may call the functions of this schema and write nothing else.

set local role counterfoil_owner;

create function ledger.fingerprint(book_id bigint, id uuid, memo boolean, effective_on date,
    accounts bigint[], amounts bigint[], kind text, currency text, reverses uuid, voucher_id uuid,
    causes text, description text) returns bytea
    language sql stable parallel safe -- stable, so that it is inlined
    -- Fixed-width parts first, then texts without control characters, the free text last: no two
    -- different contents have the same bytes.
    return sha256(int8send(book_id) || uuid_send(id) || boolsend(memo)
        || int4send(effective_on - date '1970-01-01') || array_send(accounts) || array_send(amounts)
        || convert_to(concat_ws(chr(31), kind, currency, coalesce(reverses::text, ''),
                                coalesce(voucher_id::text, ''), causes, description), 'UTF8'));

create function ledger.chain_step(state bytea, head bytea, item bytea) returns bytea
    language plpgsql immutable parallel safe
as $$ begin return sha256(coalesce(state, head) || item); end $$;

create aggregate ledger.chain (head bytea, item bytea) (
    sfunc = ledger.chain_step, stype = bytea
);
comment on aggregate ledger.chain(bytea, bytea) is 'hash chain over items in order, starting from head';

-- In force: not reversed, or each reversal of it is itself reversed.
create function ledger.in_force(p_book bigint, p_id uuid) returns boolean
    language plpgsql stable
    set search_path = pg_catalog
as $$
declare
    reversal uuid;
begin
    for reversal in
        select e.id from ledger.entry e where e.book_id = p_book and e.reverses = p_id
    loop
        if ledger.in_force(p_book, reversal) then
            return false;
        end if;
    end loop;
    return true;
end $$;

create function ledger.mirrors(amounts bigint[], reversed bigint[]) returns boolean
    language plpgsql immutable parallel safe
    set search_path = pg_catalog
as $$
declare
    leg int;
begin
    if cardinality(amounts) is distinct from cardinality(reversed) then
        return false;
    end if;
    for leg in 1 .. cardinality(amounts) loop
        if amounts[leg] is distinct from -reversed[leg] then
            return false;
        end if;
    end loop;
    return true;
end $$;

-- Where an entry would leave the first floored account that it draws on; null when none falls below zero.
create function ledger.breached_floor(p_book bigint, p_accounts bigint[], p_amounts bigint[])
    returns text
    language sql stable
    set search_path = pg_catalog
as $$
    select a.code || coalesce(' ' || nullif(a.dimensions::text, '{}'), '') || ' holds '
           || round(b.held / 10::numeric ^ c.scale, c.scale) || ' ' || a.currency
    from unnest(p_accounts, p_amounts) as leg (account_id, amount)
    join ledger.account a on a.book_id = p_book and a.id = leg.account_id and a.floored
    join ledger.currency c on c.code = a.currency
    cross join lateral (select case when a.kind in ('asset', 'expense') then 1 else -1 end as side) s
    cross join lateral (
        select s.side * coalesce(sum(d.debits - d.credits), 0) as held
        from ledger.account_day d
        where d.book_id = p_book and d.account_id = leg.account_id
    ) b
    where s.side * leg.amount < 0 and b.held + s.side * leg.amount < 0
    order by a.code, a.currency
    limit 1
$$;

create function ledger.post(
    p_now timestamptz, p_by text, p_books bigint[], p_ids uuid[], p_kinds text[], p_memos boolean[],
    p_currencies text[], p_effective date[], p_descriptions text[], p_causes text[],
    p_reverses uuid[], p_vouchers uuid[], p_legs int[], p_accounts bigint[], p_amounts bigint[])
    returns table (ordinal int, outcome text, number bigint, recorded_at timestamptz, detail text)
    language plpgsql volatile security definer
    set search_path = pg_catalog
    -- Lookups by key only, whatever the planner believes about tables that grew since it last looked.
    set enable_seqscan = off
    set enable_hashjoin = off
    set enable_mergejoin = off
    set enable_bitmapscan = off
as $$
#variable_conflict use_column
declare
    size int := cardinality(p_ids);
    last_legs int[];
    outcomes text[];
    details text[];
    fingerprints bytea[];
    numbers bigint[];
    times timestamptz[];
    in_turn boolean;
    stamp bytea := int8send((extract(epoch from p_now) * 1000000)::bigint) || convert_to(p_by, 'UTF8');
begin
    -- A: one lock per book, always in the same order. Later statements read what it protects.
    -- No stronger: whoever opens an account holds a key share on its book until the commit.
    perform 1 from ledger.book b where b.id = any (p_books) order by b.id for no key update;

    select array_agg(sum order by i) into last_legs
    from (select i, sum(legs) over (order by i)::int from unnest(p_legs) with ordinality u (legs, i)) s;

    select array_agg(case
               when b.id is null then 'refused:unknown_book'
               when e.fingerprint = t.fingerprint then 'replayed'
               when e.number is not null then 'conflict'
               when t.effective_on <= b.closed_through then 'refused:period_closed'
               when a.known < cardinality(t.accounts) then 'refused:unknown_account'
               when a.fitting < cardinality(t.accounts) then 'refused:wrong_account'
               when r.problem is not null then r.problem
               when f.breach is not null then 'refused:floor'
               else 'posted'
           end order by t.i),
           array_agg(case when t.effective_on <= b.closed_through then to_char(b.closed_through, 'YYYY-MM-DD')
                     else f.breach end order by t.i),
           array_agg(t.fingerprint order by t.i),
           array_agg(e.number order by t.i),
           array_agg(e.recorded_at order by t.i),
           bool_or(a.floored or t.reverses is not null)
           or count(distinct (t.book_id, t.id)) < size
    into outcomes, details, fingerprints, numbers, times, in_turn
    from (
        select s.*, ledger.fingerprint(s.book_id, s.id, s.memo, s.effective_on, s.accounts, s.amounts,
                                       s.kind, s.currency, s.reverses, s.voucher_id, s.causes,
                                       s.description) as fingerprint
        from (
            select u.*, p_accounts[u.last - u.legs + 1 : u.last] as accounts,
                   p_amounts[u.last - u.legs + 1 : u.last] as amounts
            from unnest(p_books, p_ids, p_kinds, p_memos, p_currencies, p_effective, p_descriptions,
                        p_causes, p_reverses, p_vouchers, p_legs, last_legs) with ordinality
                 as u (book_id, id, kind, memo, currency, effective_on, description, causes,
                       reverses, voucher_id, legs, last, i)
        ) s
        offset 0 -- hash once, not at each mention
    ) t
    left join ledger.book b on b.id = t.book_id
    left join ledger.entry e on e.book_id = t.book_id and e.id = t.id
    cross join lateral (
        select count(*) as known,
               count(*) filter (where c.currency = t.currency and c.memo = t.memo) as fitting,
               coalesce(bool_or(c.floored), false) as floored
        from ledger.account c
        where c.book_id = t.book_id and c.id = any (t.accounts)
    ) a
    left join lateral (
        select case
                   when o.id is null then 'refused:reverses_unknown'
                   when o.accounts <> t.accounts or not ledger.mirrors(t.amounts, o.amounts)
                       then 'refused:not_a_mirror'
                   when not ledger.in_force(t.book_id, t.reverses) then 'refused:already_reversed'
               end as problem
        from (values (t.book_id, t.reverses)) target (book_id, id)
        left join ledger.entry o on o.book_id = target.book_id and o.id = target.id
        where t.reverses is not null
    ) r on true
    left join lateral (
        select ledger.breached_floor(t.book_id, t.accounts, t.amounts) as breach
        where size = 1 and a.floored
    ) f on true;

    -- D, E, and twins in one batch: what an earlier entry may decide is judged one by one.
    if size > 1 and in_turn then
        for i in 1 .. size loop
            return query
                select i, one.outcome, one.number, one.recorded_at, one.detail
                from ledger.post(p_now, p_by, p_books[i:i], p_ids[i:i], p_kinds[i:i], p_memos[i:i],
                    p_currencies[i:i], p_effective[i:i], p_descriptions[i:i], p_causes[i:i],
                    p_reverses[i:i], p_vouchers[i:i], p_legs[i:i],
                    p_accounts[last_legs[i] - p_legs[i] + 1 : last_legs[i]],
                    p_amounts[last_legs[i] - p_legs[i] + 1 : last_legs[i]]) one;
        end loop;
        return;
    end if;

    return query
    with item as materialized (
        select u.*, b.head,
               b.next_number + row_number() over (partition by u.book_id order by u.i) - 1 as number
        from unnest(p_books, p_ids, p_kinds, p_memos, p_currencies, p_effective, p_descriptions,
                    p_causes, p_reverses, p_vouchers, p_legs, last_legs, outcomes, fingerprints)
             with ordinality
             as u (book_id, id, kind, memo, currency, effective_on, description, causes,
                   reverses, voucher_id, legs, last, outcome, fingerprint, i)
        join ledger.book b on b.id = u.book_id
        where u.outcome = 'posted'
    ), chained as materialized (
        select item.*,
               p_accounts[last - legs + 1 : last] as accounts,
               p_amounts[last - legs + 1 : last] as amounts,
               ledger.chain(head, int8send(number) || stamp || fingerprint)
                   over (partition by book_id order by i) as hash,
               lead(i) over (partition by book_id order by i) is null as latest
        from item
    ), leg as materialized (
        select c.book_id, g.account_id, c.number, g.amount, c.effective_on
        from chained c cross join lateral unnest(c.accounts, c.amounts) g (account_id, amount)
    ), moved as materialized (
        select book_id, account_id, effective_on as day, count(*)::int as lines,
               coalesce(sum(amount) filter (where amount > 0), 0)::bigint as debits,
               coalesce(-sum(amount) filter (where amount < 0), 0)::bigint as credits
        from leg group by book_id, account_id, effective_on
    ), written as (
        insert into ledger.entry (book_id, number, id, kind, memo, currency, effective_on, recorded_at,
            recorded_by, description, accounts, amounts, causes, reverses, voucher_id, fingerprint, hash)
        select book_id, number, id, kind, memo, currency, effective_on, p_now, p_by, description,
               accounts, amounts, causes, reverses, voucher_id, fingerprint, hash
        from chained
    ), lined as (
        insert into ledger.line (book_id, account_id, number, amount, effective_on)
        select book_id, account_id, number, amount, effective_on from leg
    ), placed as materialized (
        -- Looked up once for both: the lock on the book keeps everybody else away from these rows.
        select m.*, d.ctid as place
        from moved m
        left join ledger.account_day d
            on d.book_id = m.book_id and d.account_id = m.account_id and d.day = m.day
    ), summed as (
        update ledger.account_day d
        set debits = d.debits + p.debits, credits = d.credits + p.credits, lines = d.lines + p.lines
        from placed p
        where d.ctid = p.place
    ), begun as (
        insert into ledger.account_day (book_id, account_id, debits, credits, day, lines)
        select p.book_id, p.account_id, p.debits, p.credits, p.day, p.lines
        from placed p
        where p.place is null
    ), advanced as (
        update ledger.book b set next_number = c.number + 1, head = c.hash
        from chained c where c.latest and b.id = c.book_id
    )
    select c.i::int, 'posted', c.number, p_now, null::text from chained c
    union all
    select v.i::int, v.outcome, v.number, v.recorded_at, v.detail
    from unnest(outcomes, numbers, times, details) with ordinality v (outcome, number, recorded_at, detail, i)
    where v.outcome <> 'posted';
end $$;
comment on function ledger.post is 'appends a batch of entries; answers posted, replayed, conflict or refused:reason per entry';

revoke all on all functions in schema ledger from public;
grant execute on all functions in schema ledger to counterfoil_service;
revoke execute on function ledger.chain_step, ledger.refuse_change, ledger.book_names_itself from counterfoil_service;
grant execute on function ledger.short_id, ledger.account_id, ledger.legs_balance,
    ledger.fingerprint, ledger.in_force to counterfoil_auditor;

reset role;
