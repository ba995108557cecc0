create schema identity;
grant usage on schema identity to palio_app;
