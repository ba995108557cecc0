"""Pure decisions of competitions: prize rules and their allocation, the life cycle, what a submission may do."""
