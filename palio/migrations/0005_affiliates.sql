create schema affiliates;
grant usage on schema affiliates to palio_app;
