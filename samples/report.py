# ruff: noqa: E501
"""The text of `q4-incident-report.md`. Its downtime and incident counts are the same as in `monthly-metrics.csv`."""

REPORT = """\
# Q4 2025 incident report

Northlight Hosting, Site Reliability Engineering. Published on 12 January 2026. All times are UTC.

## Summary

Five incidents between 1 October and 31 December 2025 caused 266 minutes of downtime. Availability for the quarter was
99.799 %, below the objective of 99.9 %. November was the worst month: two incidents, 162 minutes of downtime and an
availability of 99.625 %. The longest incident was the Black Friday traffic surge on 28 November, with 94 minutes of
downtime. One of the five incidents, the expired certificate, was reported by a customer before any alert fired.

| Incident | Date | Service | Severity | Downtime (min) | Time to detect (min) | Root cause |
|---|---|---|---|---|---|---|
| INC-2025-041 | 14 October 2025 | Customer portal (web-02) | SEV-2 | 47 | 9 | Database connection pool exhausted |
| INC-2025-043 | 28 October 2025 | Public API (api-01) | SEV-1 | 22 | 14 | TLS certificate expired |
| INC-2025-047 | 11 November 2025 | Order database (db-01) | SEV-1 | 68 | 21 | Disk full of write-ahead logs |
| INC-2025-052 | 28 November 2025 | Web shop (web-01 to web-03) | SEV-1 | 94 | 4 | Black Friday traffic surge, autoscaling limit too low |
| INC-2025-055 | 16 December 2025 | All services | SEV-2 | 35 | 6 | Faulty firmware on a core switch |

| Month | Incidents | Downtime (min) | Availability (%) |
|---|---|---|---|
| October 2025 | 2 | 69 | 99.845 |
| November 2025 | 2 | 162 | 99.625 |
| December 2025 | 1 | 35 | 99.922 |
| Quarter | 5 | 266 | 99.799 |

The mean time to detect was 10.8 minutes; the goal is 5 minutes. The mean time to resolve was 53.2 minutes.

## INC-2025-041: connection pool exhausted on web-02

A report query introduced in release 8.4 held database connections for up to 90 seconds. The pool of web-02 was limited
to 50 connections and was empty within 12 minutes. Response times rose from 240 ms to 6,800 ms and 31 % of requests failed.

- 09:12 The release 8.4 goes live.
- 09:24 The pool of web-02 is exhausted; the first requests fail.
- 09:33 The alert on error rate fires and the on-call engineer is paged.
- 09:58 The release is rolled back.
- 10:11 Response times are back to normal.

**Lesson:** every service now has an alert at 80 % use of its connection pool, and queries longer than 5 seconds are
cancelled. The pool of web-02 was raised to 120 connections.

## INC-2025-043: expired TLS certificate on api-01

The certificate of api.northlight.example expired at 00:00 on 28 October. The renewal job had failed silently since
1 October, when its service account was removed. Every API client refused to connect until the certificate was replaced.

- 00:00 The certificate expires; all API calls fail.
- 00:14 A customer telephones; no alert has fired.
- 00:22 A new certificate is installed.

**Lesson:** certificates are now checked daily from outside, with a warning 30 days and a critical alert 7 days before
they expire. The renewal job reports each run, and a missing report is itself an alert.

## INC-2025-047: disk full on db-01

A replica was taken out of service on 6 November but its replication slot was kept, so write-ahead logs piled up at about
75 GB a day. The data disk of db-01 (500 GB) was full at 03:40 on 11 November and the database stopped accepting writes.
About 1,900 orders could not be saved; 1,840 of them were recovered from the queue.

- 03:40 The disk is full and writes fail.
- 04:01 The on-call engineer is paged by the queue length alert, not by a disk alert.
- 04:35 The replication slot is dropped and logs are removed.
- 04:48 The database accepts writes again.

**Lesson:** disk alerts now look at the free space and at the time until the disk is full; fewer than 24 hours is critical.

## INC-2025-052: Black Friday traffic surge

Traffic reached 3.4 times that of a normal Friday at 18:05. Autoscaling stopped at its limit of 12 instances, which had
been set in 2023. Average response time peaked at 4,300 ms and 22 % of checkouts were abandoned. The estimated loss of
revenue is 186,000 euros.

- 18:05 Traffic passes the capacity of 12 instances.
- 18:09 Alerts on response time fire for web-01, web-02 and web-03.
- 18:31 The incident is raised to SEV-1 and the engineering manager is called.
- 19:10 The limit is raised to 40 instances.
- 19:39 All response times are below 500 ms.

**Lesson:** a load test at five times the normal traffic takes place every September, and the autoscaling limit is
reviewed each quarter.

## INC-2025-055: faulty firmware on a core switch

During a maintenance window the firmware of core switch sw-core-2 was updated to version 9.3.1, which drops packets when a
link is more than 60 % busy. Packet loss reached 8 % on 16 December between 02:10 and 02:45.

- 02:10 The updated switch takes traffic and packet loss begins.
- 02:16 The packet loss alert fires.
- 02:45 The switch is taken out of service; traffic uses sw-core-1 alone.

**Lesson:** network firmware is rolled out to one site first and observed for 7 days.

## Open actions

| Action | Owner | Due |
|---|---|---|
| Review the memory use of web-02, which grows after release 8.6 | Priya Nair | 27 February 2026 |
| Add outside TLS checks to the remaining 14 internal certificates | Tomas Lind | 31 January 2026 |
| Load test at five times normal traffic | Amara Okafor | 30 September 2026 |
| Review of autoscaling limits | Amara Okafor | 31 March 2026 |
"""
