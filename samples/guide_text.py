# ruff: noqa: E501
"""The text of `monitoring-guide.pdf`, section by section."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Heading:
    text: str


@dataclass(frozen=True, kw_only=True)
class Items:
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]


Block = str | Heading | Items | Table
Section = tuple[str, Sequence[Block]]

TITLE = "Monitoring Guide"
SUBTITLE = "Recommended checks, alert thresholds and escalation"
VERSION = "Version 3.2, January 2026"
COMPANY = "Northlight Hosting, Site Reliability Engineering"

_FOUR = ("Metric", "Warning", "Critical", "Evaluated over")


def _thresholds(caption: str, *rows: tuple[str, str, str, str]) -> Table:
    return Table(caption=caption, header=_FOUR, rows=rows, widths=(40, 20, 20, 20))


SECTIONS: tuple[Section, ...] = (
    (
        "Purpose and scope",
        (
            "This guide says what we monitor, at which values an alert is raised and who acts on it. It applies to every "
            "production service of Northlight Hosting. Test systems may use the same thresholds, but they never page anyone.",
            "A threshold is a promise to act. If nobody would get up at night for a value, it is a warning and not a "
            "critical alert. Thresholds that fired more than five times in a month without any action are reviewed.",
            Heading(text="Severity levels"),
            Table(
                caption="Table 1: Severity of alerts",
                header=("Severity", "Meaning", "Reaction", "Notified by"),
                rows=(
                    ("Critical", "Users are affected now", "Within 5 minutes, day and night", "Page and phone call"),
                    ("Warning", "Users will be affected soon", "Within 4 working hours", "Chat and ticket"),
                    ("Info", "Worth knowing", "Next working day", "Dashboard only"),
                ),
                widths=(16, 30, 32, 22),
            ),
            Heading(text="Service level objectives"),
            Items(
                lines=(
                    "Availability of customer-facing services: 99.9 % per calendar month, which allows 43 minutes of downtime in a month of 30 days.",
                    "95 % of all web requests are answered within 500 ms.",
                    "Mean time to detect an incident: 5 minutes or less.",
                    "Mean time to resolve a SEV-1 incident: 60 minutes or less.",
                )
            ),
        ),
    ),
    (
        "HTTP monitoring",
        (
            "HTTP checks are the most important checks we have, because they see what users see. Every public endpoint is "
            "checked from at least three locations, and an alert is raised only when two of them agree.",
            Heading(text="Recommended alert thresholds"),
            _thresholds(
                "Table 2: HTTP alert thresholds",
                ("Response time, average", "500 ms", "1,000 ms", "5 minutes"),
                ("Response time, 95th percentile", "800 ms", "2,000 ms", "5 minutes"),
                ("Error rate (5xx responses)", "1 %", "5 %", "5 minutes"),
                ("Client error rate (4xx responses)", "5 %", "15 %", "15 minutes"),
                ("Availability", "below 99.9 %", "below 99.5 %", "24 hours"),
                ("TLS certificate expires in", "30 days", "7 days", "once a day"),
            ),
            Heading(text="Check settings"),
            Table(
                caption="Table 3: Settings of HTTP checks",
                header=("Setting", "Recommended value", "Why"),
                rows=(
                    ("Check interval", "60 seconds", "Finds an outage in 2 minutes"),
                    ("Timeout", "10 seconds", "Longer waits are failures"),
                    ("Consecutive failures before an alert", "3", "Ignores single lost packets"),
                    ("Consecutive successes before recovery", "2", "Avoids alerts that flap"),
                    ("Locations", "3 or more", "Tells network from service"),
                    ("Redirects followed", "5 at most", "Finds loops"),
                ),
                widths=(42, 24, 34),
            ),
            "An HTTP check must look for a text on the page and not only for status 200, since an error page delivered "
            "with status 200 is a common way to miss an outage.",
            Heading(text="Thresholds by kind of endpoint"),
            "Not every endpoint has to be equally fast. Where the kind of endpoint is known, these values replace the "
            "average response time of Table 2.",
            Table(
                caption="Table 4: Average response time by kind of endpoint",
                header=("Endpoint", "Warning", "Critical"),
                rows=(
                    ("Web pages", "500 ms", "1,000 ms"),
                    ("REST API", "300 ms", "800 ms"),
                    ("Login and checkout", "400 ms", "900 ms"),
                    ("Static files", "150 ms", "400 ms"),
                    ("Reports and exports", "2,000 ms", "5,000 ms"),
                ),
                widths=(40, 30, 30),
            ),
        ),
    ),
    (
        "Database monitoring",
        (
            "Most slow pages are slow queries. We watch the time of queries, the pool of connections and the lag of the "
            "replicas. Databases are checked every 30 seconds.",
            _thresholds(
                "Table 5: Database alert thresholds",
                ("Query time, average", "100 ms", "500 ms", "5 minutes"),
                ("Slow queries (longer than 1 second)", "10 per minute", "50 per minute", "10 minutes"),
                ("Connection pool in use", "80 %", "95 %", "2 minutes"),
                ("Replication lag", "10 seconds", "60 seconds", "5 minutes"),
                ("Deadlocks", "1 per hour", "10 per hour", "1 hour"),
                ("Buffer cache hit ratio", "below 95 %", "below 90 %", "15 minutes"),
                ("Age of the last backup", "26 hours", "48 hours", "1 hour"),
            ),
            Heading(text="Good practice"),
            Items(
                lines=(
                    "Cancel queries that run longer than 5 seconds on databases that serve users.",
                    "Test the restore of a backup once a month; a backup that was never restored does not count.",
                    "Drop replication slots that have no consumer within 24 hours, since they fill the disk.",
                    "Keep connection pools of all services together below 80 % of the connections the server allows.",
                )
            ),
        ),
    ),
    (
        "Server resources: CPU, memory and disk",
        (
            "Resource alerts explain an incident more often than they find one. They should therefore seldom page "
            "anyone; the exception is disk space, because a full disk stops a database at once.",
            Heading(text="CPU"),
            _thresholds(
                "Table 6: CPU alert thresholds",
                ("CPU utilization", "75 %", "90 %", "10 minutes"),
                ("Load average per core", "1.5", "3.0", "15 minutes"),
                ("CPU steal time (virtual machines)", "5 %", "15 %", "10 minutes"),
                ("I/O wait", "20 %", "40 %", "10 minutes"),
            ),
            Heading(text="Memory"),
            _thresholds(
                "Table 7: Memory alert thresholds",
                ("Memory utilization", "80 %", "92 %", "10 minutes"),
                ("Swap in use", "10 %", "40 %", "15 minutes"),
                ("Memory growth (leak suspected)", "1 point per day", "3 points per day", "7 days"),
                ("Out-of-memory kills", "none allowed", "1 or more", "1 hour"),
            ),
            "Memory that grows day after day without falling at night points to a leak. Plan a restart inside a maintenance "
            "window and open a ticket for the owner of the service; a nightly restart is not a repair.",
            Heading(text="Disk"),
            _thresholds(
                "Table 8: Disk alert thresholds",
                ("Disk space used", "80 %", "90 %", "5 minutes"),
                ("Time until the disk is full", "72 hours", "24 hours", "1 hour"),
                ("Inodes used", "80 %", "95 %", "1 hour"),
                ("Disk latency, average", "20 ms", "50 ms", "10 minutes"),
                ("SMART errors", "1 or more", "5 or more", "once a day"),
            ),
        ),
    ),
    (
        "Queues and background jobs",
        (
            "The length of a queue says little by itself. The age of its oldest message says how long somebody has been "
            "waiting, and is what we alert on first.",
            _thresholds(
                "Table 9: Queue alert thresholds",
                ("Age of the oldest message", "5 minutes", "15 minutes", "5 minutes"),
                ("Queue length", "1,000 messages", "10,000 messages", "10 minutes"),
                ("Messages in the poison queue", "1", "25", "1 minute"),
                ("Failed jobs", "2 %", "10 %", "30 minutes"),
                ("Scheduled job did not report", "10 minutes late", "30 minutes late", "5 minutes"),
            ),
            Items(
                lines=(
                    "A message is tried 5 times before it is moved to the poison queue.",
                    "Every scheduled job reports its success to a heartbeat check; silence is an alert.",
                    "Workers are scaled on the age of the oldest message and not on CPU.",
                )
            ),
        ),
    ),
    (
        "Network and DNS",
        (
            "Network checks run between all sites and from each site to the internet, every 15 seconds.",
            _thresholds(
                "Table 10: Network alert thresholds",
                ("Packet loss", "1 %", "3 %", "5 minutes"),
                ("Round-trip time between sites", "40 ms", "100 ms", "5 minutes"),
                ("Link utilization", "70 %", "90 %", "15 minutes"),
                ("Interface errors", "10 per minute", "100 per minute", "10 minutes"),
                ("DNS answer time", "100 ms", "500 ms", "5 minutes"),
                ("VPN tunnel down", "1 minute", "3 minutes", "1 minute"),
            ),
            "DNS records with a time to live below 60 seconds are not allowed, because they turn a short DNS fault into an "
            "outage. Firmware of network devices is rolled out to one site first and observed for 7 days.",
        ),
    ),
    (
        "Escalation",
        (
            "An alert that is not acknowledged moves up by itself. Whoever acknowledges an alert owns it until it is handed "
            "over in words.",
            Table(
                caption="Table 11: Escalation of critical alerts",
                header=("Level", "Who", "After", "Reached by"),
                rows=(
                    ("1", "On-call engineer", "immediately", "Page"),
                    ("2", "Second on-call engineer", "10 minutes", "Page and phone call"),
                    ("3", "Team lead", "20 minutes", "Phone call"),
                    ("4", "Engineering manager", "45 minutes", "Phone call"),
                    ("5", "Head of Operations", "90 minutes", "Phone call"),
                ),
                widths=(12, 36, 24, 28),
            ),
            Heading(text="Incident severity"),
            Items(
                lines=(
                    "SEV-1: all customers or all payments are affected. The engineering manager is called at once.",
                    "SEV-2: a part of the customers is affected or a main function is slow. The team lead is informed within 30 minutes.",
                    "SEV-3: one customer or a side function is affected. It is handled during working hours.",
                )
            ),
            "The status page is updated within 15 minutes of the start of a SEV-1 or SEV-2 incident and every 30 minutes from "
            "then on. A written review is due 5 working days after every SEV-1 incident.",
            "The on-call rota changes every Monday at 10:00 UTC. On-call engineers are at most 15 minutes away from a "
            "computer, and are on call for no more than one week in four.",
        ),
    ),
    (
        "Maintenance windows",
        (
            "Planned work takes place in maintenance windows. Alerts of the systems concerned are muted for the window and "
            "for nothing else.",
            Table(
                caption="Table 12: Regular maintenance windows (UTC)",
                header=("Systems", "Day", "Time", "Announced"),
                rows=(
                    ("Web and API servers", "Tuesday", "02:00 to 04:00", "3 days before"),
                    ("Databases", "first Sunday of the month", "01:00 to 05:00", "7 days before"),
                    ("Network", "third Tuesday of the month", "02:00 to 03:00", "14 days before"),
                    ("Monitoring itself", "Wednesday", "09:00 to 10:00", "1 day before"),
                ),
                widths=(28, 32, 22, 18),
            ),
            Items(
                lines=(
                    "A maintenance window lasts 4 hours at most.",
                    "No changes are made between 20 November and 2 January, except security fixes approved by the Head of Operations.",
                    "Muting an alert outside a window needs a ticket and ends by itself after 8 hours.",
                    "After the work, the engineer watches the dashboards for 30 minutes before closing the window.",
                )
            ),
        ),
    ),
    (
        "Dashboards and data retention",
        (
            "Each service has one dashboard with the four golden signals: latency, traffic, errors and saturation.",
            Table(
                caption="Table 13: How long data are kept",
                header=("Data", "Resolution", "Kept for"),
                rows=(
                    ("Raw metrics", "15 seconds", "14 days"),
                    ("Hourly aggregates", "1 hour", "13 months"),
                    ("Monthly aggregates", "1 month", "5 years"),
                    ("Application logs", "every line", "30 days"),
                    ("Audit logs", "every line", "2 years"),
                ),
                widths=(36, 32, 32),
            ),
            Heading(text="Review of thresholds"),
            "All thresholds are reviewed twice a year, in January and July, by the Site Reliability Engineering team. A "
            "change needs the agreement of the owner of the service. Contact: sre@northlight.example.",
        ),
    ),
)
