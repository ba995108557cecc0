create schema races;
grant usage on schema races to palio_app;
