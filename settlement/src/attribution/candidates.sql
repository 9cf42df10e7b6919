with o as materialized (
    select u.*, named.visitor as named_visitor
    from unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::int[], $5::uuid[], $6::text[],
                $7::uuid[], $8::bytea[], $9::text[], $10::timestamptz[], $11::bool[])
         with ordinality
         as u (book_id, program_id, occurred_at, lookback, click_id, visitor, publisher_id,
               user_hash, coupon, known_by, first, n)
    left join settlement.click named on named.book_id = u.book_id and named.id = u.click_id
), person as materialized (
    select o.*, o.occurred_at - make_interval(hours => 24 * o.lookback) as since,
           coalesce(o.known_by, 'infinity') as by_then,
           coalesce(
               o.user_hash,
               (select i.user_hash from settlement.identity i
                where i.book_id = o.book_id and i.click_id = o.click_id
                  and i.identified_at <= coalesce(o.known_by, 'infinity')
                order by i.identified_at desc, i.user_hash limit 1),
               (select i.user_hash from settlement.identity i
                where i.book_id = o.book_id and i.visitor = coalesce(o.visitor, o.named_visitor)
                  and i.identified_at <= coalesce(o.known_by, 'infinity')
                order by i.identified_at desc, i.user_hash limit 1)) as who
    from o
), recognised as materialized (
    select p.n, i.click_id, k.visitor
    from person p
    join settlement.identity i on i.book_id = p.book_id and i.user_hash = p.who
         and i.identified_at <= p.by_then
    left join settlement.click k on k.book_id = i.book_id and k.id = i.click_id
), browser as materialized (
    select p.n, p.visitor from person p where p.visitor is not null
    union
    select p.n, p.named_visitor from person p where p.named_visitor is not null
    union
    select r.n, r.visitor from recognised r where r.visitor is not null
), touch as (
    select p.n, k.id, k.publisher_id, k.clicked_at, k.program_id, k.reason, k.expires_at
    from person p
    join settlement.click k on k.book_id = p.book_id and k.id = p.click_id
         and k.recorded_at <= p.by_then
    union all
    select p.n, k.id, k.publisher_id, k.clicked_at, k.program_id, k.reason, k.expires_at
    from recognised r
    join person p on p.n = r.n
    join settlement.click k on k.book_id = p.book_id and k.id = r.click_id
         and k.program_id = p.program_id and k.recorded_at <= p.by_then
    union all
    -- At most a hundred of one visitor, the youngest; where the first one counts, that one too.
    select p.n, k.id, k.publisher_id, k.clicked_at, k.program_id, k.reason, k.expires_at
    from browser b
    join person p on p.n = b.n
    cross join lateral (
        (select c.* from settlement.click c
         where c.book_id = p.book_id and c.program_id = p.program_id and c.visitor = b.visitor
           and c.clicked_at between p.since and p.occurred_at and c.recorded_at <= p.by_then
           and c.reason is null
         order by c.clicked_at desc, c.id desc limit 100)
        union all
        (select c.* from settlement.click c
         where p.first and c.book_id = p.book_id and c.program_id = p.program_id
           and c.visitor = b.visitor and c.clicked_at between p.since and p.occurred_at
           and c.recorded_at <= p.by_then and c.reason is null
         order by c.clicked_at, c.id limit 1)
        union all
        -- What does not count, was too early or too late, so that the decision can say so.
        (select c.* from settlement.click c
         where c.book_id = p.book_id and c.program_id = p.program_id and c.visitor = b.visitor
           and c.clicked_at between p.since and p.occurred_at and c.recorded_at <= p.by_then
           and c.reason is not null
         order by c.clicked_at desc limit 3)
        union all
        (select c.* from settlement.click c
         where c.book_id = p.book_id and c.program_id = p.program_id and c.visitor = b.visitor
           and c.clicked_at < p.since and c.recorded_at <= p.by_then
         order by c.clicked_at desc limit 1)
        union all
        (select c.* from settlement.click c
         where c.book_id = p.book_id and c.program_id = p.program_id and c.visitor = b.visitor
           and c.clicked_at > p.occurred_at and c.recorded_at <= p.by_then
         order by c.clicked_at limit 1)
    ) k
), candidate as (
    select 'click' as source, t.n, t.id as click_id, t.publisher_id, t.clicked_at as happened_at,
           p.occurred_at as until, t.program_id, t.reason, t.expires_at
    from touch t join person p on p.n = t.n
    union all
    select 'claim', p.n, null, c.publisher_id, c.first_click_at, least(c.claimed_at, p.occurred_at),
           p.program_id, null, null
    from person p
    join settlement.claim c on c.book_id = p.book_id and c.user_hash = p.who
         and c.claimed_at <= p.by_then
    union all
    select 'coupon', p.n, null, c.publisher_id, p.occurred_at, p.occurred_at, p.program_id, null, null
    from person p
    cross join lateral (
        select c.publisher_id, c.ended_at from settlement.coupon c
        where c.book_id = p.book_id and c.program_id = p.program_id and c.code = p.coupon
          and c.valid_from <= p.occurred_at and c.created_at <= p.by_then
        order by c.valid_from desc limit 1
    ) c
    where c.ended_at is null or c.ended_at > p.occurred_at
    union all
    select 'declared', p.n, null, p.publisher_id, p.occurred_at, p.occurred_at, p.program_id, null,
           null
    from person p where p.publisher_id is not null
)
select p.n as "n!", c.source as "source!", p.who is not null as "user_known!",
       c.click_id as "click_id?", c.publisher_id as "publisher_id!",
       c.happened_at as "happened_at!", c.until as "until!", p.book_id as "book_id!",
       c.program_id as "program_id!", c.reason as "reason?",
       coalesce(c.expires_at < p.occurred_at, false) as "expired!",
       -- As a value, so that it is looked up for each candidate, never the other way round.
       coalesce((select e.earns @> p.occurred_at
                 from settlement.enrolment e
                 where e.book_id = p.book_id and e.program_id = p.program_id
                   and e.publisher_id = c.publisher_id), false) as "enrolled!"
from candidate c join person p on p.n = c.n
