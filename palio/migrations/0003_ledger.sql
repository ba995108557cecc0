-- role: palio_ledger
-- reviewed: an empty room.
create schema ledger;
grant usage on schema ledger to palio_app;
