"""What may be wrong with a deployment: each check looks once and answers with findings, worst first."""

from palio.infra.doctor.database import Known, examine_database
from palio.infra.doctor.findings import SEVERITIES, Finding, Severity, exit_status
from palio.infra.doctor.host import examine_host

__all__ = ["SEVERITIES", "Finding", "Known", "Severity", "examine_database", "examine_host", "exit_status"]
