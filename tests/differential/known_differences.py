"""Scenarios in which Perdure does not answer as the real server does, and why. The list can only shrink: a scenario in
it that passes is a failure.
"""

KNOWN_DIFFERENCES = {
    "test_batches.test_job_ids_are_used_once": "the refusal names no request id, as the job has none",
    "test_nexus.test_an_endpoint_that_is_changed": "it keeps the time of its creation, which the real server forgets",
    "test_reset.test_a_signal_sent_again_is_recognised": "it is; the real server forgets at a reset",
    "test_reset.test_points_between_tasks": "the real server's messages speak of how it stores events",
    "test_schedules.test_an_update_with_an_old_token": "it is refused; the real server says yes and does nothing",
    "test_schedules.test_matching_times_that_cannot_be": "errors speak of no query to a workflow",
    "test_schedules.test_unknown_schedules": "there is no workflow behind a schedule that errors could speak of",
    "test_schedules.test_update_of_the_memo": "it can be updated, as on the real server's next generation of schedules",
    "test_search_attributes.test_a_name_that_is_empty": "it is refused, as nothing could be found by it",
    "test_time_skipping.test_a_fast_forward": "its description shows it, as that of later real servers does",
    "test_visibility.test_order": "any order is served; the real server's SQLite store has none but its own",
    "test_visibility.test_refused_queries_of_odd_form": "the real server's messages name types of its parser",
    "test_workers.test_conditions_that_cannot_hold": "they are refused; the real server finds no workers",
    "test_workers.test_queries_that_are_none": "the refusals have the words of those of queries for executions",
}
