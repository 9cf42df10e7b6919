-- Views for people with psql or a BI tool: codes instead of ids, decimals instead of minor units.
--
-- A. Views add nothing and store nothing; every figure is the entries'.
-- B. Memorandum entries stand in ledger.journal (marked) and in no trial balance.

set local role counterfoil_owner;

create view ledger.journal as
select b.name as book, e.number, e.effective_on, e.recorded_at, e.recorded_by, e.kind, e.memo,
       e.description, a.code, a.dimensions, e.currency,
       case when g.amount > 0 then round(g.amount / 10::numeric ^ c.scale, c.scale) end as debit,
       case when g.amount < 0 then round(-g.amount / 10::numeric ^ c.scale, c.scale) end as credit,
       string_to_array(e.causes, chr(30)) as causes, e.reverses, e.voucher_id, e.id as entry_id, e.book_id, a.id as account_id
from ledger.entry e
join ledger.book b on b.id = e.book_id
join ledger.currency c on c.code = e.currency
cross join lateral unnest(e.accounts, e.amounts) as g (account_id, amount)
join ledger.account a on a.book_id = e.book_id and a.id = g.account_id;
comment on view ledger.journal is 'every leg of every entry, one row each, in decimals of its currency';

create view ledger.balance as
select b.name as book, a.code, a.kind, a.memo, a.dimensions, a.currency,
       round(coalesce(s.debits, 0) / 10::numeric ^ c.scale, c.scale) as debits,
       round(coalesce(s.credits, 0) / 10::numeric ^ c.scale, c.scale) as credits,
       round(case when a.kind in ('asset', 'expense') then 1 else -1 end
             * (coalesce(s.debits, 0) - coalesce(s.credits, 0)) / 10::numeric ^ c.scale, c.scale) as balance,
       a.book_id, a.id as account_id
from ledger.account a
join ledger.book b on b.id = a.book_id
join ledger.currency c on c.code = a.currency
left join lateral (
    select sum(d.debits) as debits, sum(d.credits) as credits
    from ledger.account_day d
    where d.book_id = a.book_id and d.account_id = a.id
) s on true;
comment on view ledger.balance is 'each account''s balance today, positive on its normal side';

create view ledger.trial_balance as
select a.code, a.kind, a.currency,
       round(sum(d.debits) / 10::numeric ^ c.scale, c.scale) as debits,
       round(sum(d.credits) / 10::numeric ^ c.scale, c.scale) as credits,
       round(greatest(sum(d.debits) - sum(d.credits), 0) / 10::numeric ^ c.scale, c.scale) as debit_balance,
       round(greatest(sum(d.credits) - sum(d.debits), 0) / 10::numeric ^ c.scale, c.scale) as credit_balance
from ledger.account_day d
join ledger.account a on a.book_id = d.book_id and a.id = d.account_id
join ledger.currency c on c.code = a.currency
where not a.memo
group by a.code, a.kind, a.currency, c.scale;
comment on view ledger.trial_balance is 'all books together by account code and currency; debits equal credits per currency';

grant select on all tables in schema ledger to counterfoil_service, counterfoil_auditor;

reset role;
