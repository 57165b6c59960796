"""The names of billable actions, which are those that invoices and metrics show."""

from __future__ import annotations

from typing import Final

START: Final = "start_workflow"
START_MULTI_OPERATION: Final = "start_workflow_multi_operation"
START_CHILD: Final = "start_child_workflow"
CONTINUE_AS_NEW: Final = "continue_as_new_workflow"
UPDATE_OPTIONS: Final = "update_workflow_options"
UPDATE_OPTIONS_BY_START: Final = "update_workflow_options_via_start"
UPSERT: Final = "upsert_workflow_search_attributes"
RESET: Final = "reset_workflow"
WORKFLOW_HEARTBEAT: Final = "record_workflow_heartbeat"
SCHEDULE_ACTIVITY: Final = "schedule_activity"
RETRY_ACTIVITY: Final = "retry_activity"
ACTIVITY_HEARTBEAT: Final = "record_activity_heartbeat"
ACTIVITY_HEARTBEAT_BY_ID: Final = "record_activity_heartbeat_by_id"
RECORD_MARKERS: Final = "record_activity_markers"
RETRY_LOCAL_ACTIVITY: Final = "retry_activity_local"
START_STANDALONE_ACTIVITY: Final = "start_standalone_activity"
RETRY_STANDALONE_ACTIVITY: Final = "retry_standalone_activity"
STANDALONE_ACTIVITY_HEARTBEAT: Final = "record_standalone_activity_heartbeat"
STANDALONE_ACTIVITY_HEARTBEAT_BY_ID: Final = "record_standalone_activity_heartbeat_by_id"
PAUSE_STANDALONE_ACTIVITY: Final = "pause_standalone_activity"
RESET_STANDALONE_ACTIVITY: Final = "reset_standalone_activity"
UPDATE_STANDALONE_ACTIVITY_OPTIONS: Final = "update_standalone_activity_options"
START_TIMER: Final = "start_timer"
SIGNAL: Final = "signal_workflow"
SIGNAL_EXTERNAL: Final = "signal_external_workflow"
SIGNAL_WITH_START: Final = "signal_workflow_with_start"
QUERY: Final = "query_workflow"
ACCEPT_UPDATE: Final = "accept_workflow_update"
REJECT_UPDATE: Final = "reject_workflow_update"
CREATE_SCHEDULE: Final = "create_schedule"
UPDATE_SCHEDULE: Final = "update_schedule"
PATCH_SCHEDULE: Final = "patch_schedule"
DELETE_SCHEDULE: Final = "delete_schedule"
SCHEDULE_FIRING: Final = "schedule_workflow"
SCHEDULE_NEXUS: Final = "schedule_nexus_operation"
CANCEL_NEXUS: Final = "request_nexus_operation_cancellation"
#: A workflow that is brought to the archive.
EXPORT: Final = "export"

#: What a schedule or the end of retention does, which nobody has asked for at that moment.
BACKGROUND: Final = frozenset({SCHEDULE_FIRING, EXPORT})

#: In place of a workflow's type.
STANDALONE_ACTIVITY_TYPE: Final = "__standalone_activity"
STANDALONE_OPERATION_TYPE: Final = "__standalone_nexus_operation"
#: For what is counted by type once there are too many types.
OTHER_TYPES: Final = "__other"
#: Types of workflows that are told apart in one namespace, one hour and one process; the others are OTHER_TYPES.
TYPES_MAX: Final = 1000
#: For how long usage is kept, in hours: thirteen months.
KEPT_HOURS: Final = 13 * 31 * 24
