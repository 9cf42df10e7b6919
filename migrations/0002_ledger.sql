-- The ledger: books, accounts, journal entries.
--
-- A book is one brand's set of accounts. Everything below lies within one book, so that no
-- invariant crosses books (and a network can be spread over machines by book).
--
-- A. An unbalanced entry does not exist: its legs are two arrays in one row, and a row CHECK
--    (entry_balances) asks for at least two legs, no zero, no null, each account once, sum zero.
-- B. Numbers are gapless per book and hashes chain: both come from the locked book row, in ledger.post.
-- C. An entry is never changed or removed: entry_is_append_only, line_is_append_only.
-- D. A fact is posted once: entry_fact_once, the id being a function of book and idempotency key.
-- E. An account is what its id says: account_names_itself recomputes the id from the columns.
-- F. One currency per account and per entry: checked by ledger.post, found by `counterfoil verify`.
-- G. ledger.line and ledger.account_day repeat what the entries say; both can be rebuilt from them.

set local role counterfoil_owner;

create table ledger.currency (
    code text not null,
    scale smallint not null,
    constraint currency_pk primary key (code),
    constraint currency_scale_sane check (scale between 0 and 12)
);
comment on table ledger.currency is 'reference: every currency and the decimals of its minor unit; equal to the table in ledger/src/money';

insert into ledger.currency (code, scale) values
    ('AED', 2), ('AFN', 2), ('ALL', 2), ('AMD', 2), ('XCG', 2), ('AOA', 2), ('ARS', 2), ('AUD', 2),
    ('AWG', 2), ('AZN', 2), ('BAM', 2), ('BBD', 2), ('BDT', 2), ('BGN', 2), ('BHD', 3), ('BIF', 0),
    ('BMD', 2), ('BND', 2), ('BOB', 2), ('BOV', 2), ('BRL', 2), ('BSD', 2), ('BTN', 2), ('BWP', 2),
    ('BYN', 2), ('BZD', 2), ('CAD', 2), ('CDF', 2), ('CHE', 2), ('CHF', 2), ('CHW', 2), ('CLF', 4),
    ('CLP', 0), ('CNY', 2), ('COP', 2), ('COU', 2), ('CRC', 2), ('CUC', 2), ('CUP', 2), ('CVE', 2),
    ('CZK', 2), ('DJF', 0), ('DKK', 2), ('DOP', 2), ('DZD', 2), ('EGP', 2), ('ERN', 2), ('ETB', 2),
    ('EUR', 2), ('FJD', 2), ('FKP', 2), ('GBP', 2), ('GEL', 2), ('GHS', 2), ('GIP', 2), ('GMD', 2),
    ('GNF', 0), ('GTQ', 2), ('GYD', 2), ('HKD', 2), ('HNL', 2), ('HRK', 2), ('HTG', 2), ('HUF', 2),
    ('IDR', 2), ('ILS', 2), ('INR', 2), ('IQD', 3), ('IRR', 2), ('ISK', 0), ('JMD', 2), ('JOD', 3),
    ('JPY', 0), ('KES', 2), ('KGS', 2), ('KHR', 2), ('KMF', 0), ('KPW', 2), ('KRW', 0), ('KWD', 3),
    ('KYD', 2), ('KZT', 2), ('LAK', 2), ('LBP', 2), ('LKR', 2), ('LRD', 2), ('LSL', 2), ('LYD', 3),
    ('MAD', 2), ('MDL', 2), ('MGA', 2), ('MKD', 2), ('MMK', 2), ('MNT', 2), ('MOP', 2), ('MRU', 2),
    ('MUR', 2), ('MVR', 2), ('MWK', 2), ('MXN', 2), ('MXV', 2), ('MYR', 2), ('MZN', 2), ('NAD', 2),
    ('NGN', 2), ('NIO', 2), ('NOK', 2), ('NPR', 2), ('NZD', 2), ('OMR', 3), ('PAB', 2), ('PEN', 2),
    ('PGK', 2), ('PHP', 2), ('PKR', 2), ('PLN', 2), ('PYG', 0), ('QAR', 2), ('RON', 2), ('RSD', 2),
    ('RUB', 2), ('RWF', 0), ('SAR', 2), ('SBD', 2), ('SCR', 2), ('SDG', 2), ('SEK', 2), ('SGD', 2),
    ('SHP', 2), ('SLE', 2), ('SLL', 2), ('SOS', 2), ('SRD', 2), ('SSP', 2), ('STN', 2), ('SVC', 2),
    ('SYP', 2), ('SZL', 2), ('THB', 2), ('TJS', 2), ('TMT', 2), ('TND', 3), ('TOP', 2), ('TRY', 2),
    ('TTD', 2), ('TWD', 2), ('TZS', 2), ('UAH', 2), ('UGX', 0), ('USD', 2), ('USN', 2), ('UYI', 0),
    ('UYU', 2), ('UYW', 4), ('UZS', 2), ('VED', 2), ('VES', 2), ('VND', 0), ('VUV', 0), ('WST', 2),
    ('XAD', 2), ('XAF', 0), ('XCD', 2), ('XOF', 0), ('XPF', 0), ('YER', 2), ('ZAR', 2), ('ZMW', 2),
    ('ZWL', 2), ('ZWG', 2), ('USDC', 6), ('USDT', 6);

-- Identities are derived, so the same books and accounts get the same ids on every machine.
create function ledger.short_id(name text) returns bigint
    language sql immutable strict parallel safe
    return (('x' || encode(substr(sha256(convert_to(name, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint
            & 9223372036854775807);
comment on function ledger.short_id(text) is 'the first 63 bits of SHA-256 over a name; the id of a book or account';

create table ledger.book (
    id bigint not null,
    name text not null,
    next_number bigint not null default 1,
    head bytea not null,
    closed_through date,
    opened_at timestamptz not null,
    opened_by text not null,
    constraint book_pk primary key (id),
    constraint book_head_is_sha256 check (octet_length(head) = 32),
    constraint book_number_positive check (next_number > 0)
) with (fillfactor = 50);
comment on table ledger.book is 'distributed by book_id (its id): the spine; one row, one lock, which orders numbers, hashes and the fence of closed months';
comment on column ledger.book.head is 'hash of the latest entry; of the book''s name before the first';
comment on column ledger.book.closed_through is 'last day of the latest closed month; entries must be effective later';

-- A trigger on just these columns: a CHECK would be proved again at each posting.
create function ledger.book_names_itself() returns trigger
    language plpgsql
    set search_path = pg_catalog
as $$
begin
    -- Ranges, not classes such as [[:alnum:]]: those know only ASCII letters under locale C.
    if new.name !~ '^[^\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9][^\u0001-\u001f\u007f-\u009f]{0,199}$' then
        raise exception 'book name % is not plain: one to 200 characters, starting with a letter or digit',
            quote_literal(new.name) using errcode = 'check_violation';
    end if;
    if new.id is distinct from ledger.short_id('book' || chr(31) || new.name) then
        raise exception 'book % has an id that does not follow from its name', new.name
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger book_names_itself before insert or update of id, name on ledger.book
    for each row execute function ledger.book_names_itself();

create function ledger.account_id(book_id bigint, code text, kind text, memo boolean, currency text,
                                  floored boolean, dimensions jsonb) returns bigint
    language sql immutable strict parallel safe
    return ledger.short_id(concat_ws(chr(31), 'account', book_id::text, code, kind, memo::text,
                                     currency, floored::text, dimensions::text));

create table ledger.account (
    book_id bigint not null,
    id bigint not null,
    code text not null,
    kind text not null,
    memo boolean not null,
    currency text not null,
    floored boolean not null,
    dimensions jsonb not null,
    opened_at timestamptz not null,
    opened_by text not null,
    constraint account_pk primary key (book_id, id),
    constraint account_once unique (book_id, code, currency, dimensions),
    constraint account_of_book foreign key (book_id) references ledger.book (id),
    constraint account_currency_known foreign key (currency) references ledger.currency (code),
    constraint account_kind_known check (kind in ('asset', 'liability', 'equity', 'revenue', 'expense')),
    constraint account_code_plain check (code ~ '^[0-9A-Za-z._-]{1,40}$'),
    constraint account_names_itself
        check (id = ledger.account_id(book_id, code, kind, memo, currency, floored, dimensions))
);
comment on table ledger.account is 'distributed by book_id: one account holds one currency; dimensions say whose it is';
comment on column ledger.account.memo is 'memorandum account: balances among its own, outside the trial balance';
comment on column ledger.account.floored is 'its balance may not fall below zero on its normal side';

create function ledger.legs_balance(accounts bigint[], amounts bigint[]) returns boolean
    language plpgsql immutable parallel safe
as $$
declare
    leg int;
    total bigint := 0;
    legs int := cardinality(accounts);
begin
    if array_ndims(accounts) is distinct from 1 or array_ndims(amounts) is distinct from 1
       or legs < 2 or legs <> cardinality(amounts) then
        return false;
    end if;
    for leg in 1 .. legs loop
        if amounts[leg] is null or amounts[leg] = 0 or abs(amounts[leg]) > 4000000000000000000
           or accounts[leg] is null or (leg > 1 and accounts[leg] <= accounts[leg - 1]) then
            return false;
        end if;
        total := total + amounts[leg];
        -- Two addends below this bound cannot overflow a bigint.
        if abs(total) > 4000000000000000000 then
            return false;
        end if;
    end loop;
    return total = 0;
end $$;
comment on function ledger.legs_balance is 'at least two legs, no null, no zero, accounts strictly ascending, sum zero';

create table ledger.entry (
    book_id bigint not null,
    number bigint not null,
    recorded_at timestamptz not null,
    effective_on date not null,
    memo boolean not null,
    id uuid not null,
    currency text not null,
    kind text not null,
    recorded_by text not null,
    description text not null,
    accounts bigint[] not null,
    amounts bigint[] not null,
    causes text not null,
    reverses uuid,
    voucher_id uuid,
    fingerprint bytea not null,
    hash bytea not null,
    constraint entry_pk primary key (book_id, number),
    constraint entry_fact_once unique (book_id, id),
    constraint entry_balances check (ledger.legs_balance(accounts, amounts))
);
comment on table ledger.entry is 'distributed by book_id: the journal, append-only; everything else in this schema can be rebuilt from it';
comment on column ledger.entry.effective_on is 'when it counts, in the network''s accounting zone';
comment on column ledger.entry.recorded_at is 'when we knew';
comment on column ledger.entry.amounts is 'minor units per account, debit positive, credit negative';
comment on column ledger.entry.causes is 'what the entry is because of, as kind:id (order:…, click:…, conversion:…), joined by chr(30)';
comment on column ledger.entry.fingerprint is 'SHA-256 of the content; a replay has the same, a conflict another';
comment on column ledger.entry.hash is 'SHA-256 of previous hash, number, time, author and fingerprint';

create index entry_reversals on ledger.entry (book_id, reverses) where reverses is not null;
create index entry_vouchers on ledger.entry (book_id, voucher_id) where voucher_id is not null;

create table ledger.line (
    book_id bigint not null,
    account_id bigint not null,
    number bigint not null,
    amount bigint not null,
    effective_on date not null
);
comment on table ledger.line is 'distributed by book_id: the entries'' legs again, by account; derived';

-- Two short columns, not unique: PostgreSQL then splits a full page behind the new line instead of
-- in the middle, and keeps one day's lines as one key. With the book and the number in it, posting
-- wrote 110 bytes of log more per entry. Within a day, statements sort by number.
create index line_by_account on ledger.line (account_id, effective_on);

create table ledger.account_day (
    book_id bigint not null,
    account_id bigint not null,
    debits bigint not null,
    lines integer not null,
    day date not null,
    credits bigint not null,
    constraint account_day_pk primary key (book_id, account_id, day),
    constraint account_day_not_negative check (debits >= 0 and credits >= 0 and lines > 0)
) with (fillfactor = 70);
comment on table ledger.account_day is 'distributed by book_id: sums of each account and day, minor units; derived';

create function ledger.refuse_change() returns trigger
    language plpgsql
    set search_path = pg_catalog
as $$
begin
    raise exception '%.% is append-only: % refused; correct by posting a reversal',
        tg_table_schema, tg_table_name, tg_op
        using errcode = 'insufficient_privilege';
end $$;

create trigger entry_is_append_only before update or delete or truncate on ledger.entry
    for each statement execute function ledger.refuse_change();
create trigger line_is_append_only before update or delete or truncate on ledger.line
    for each statement execute function ledger.refuse_change();
-- Always: also under session_replication_role = replica, and for the owner.
alter table ledger.entry enable always trigger entry_is_append_only;
alter table ledger.line enable always trigger line_is_append_only;

grant select on all tables in schema ledger to counterfoil_service, counterfoil_auditor;

reset role;
