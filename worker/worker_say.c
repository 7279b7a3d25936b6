/* SPDX-License-Identifier: ISC */
/*
 * What a worker says: to the supervisor, and of its ledger to the log.  Relay
 * thread, and the first thread of a process that channels share.
 */
#include <sys/socket.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/log.h"
#include "worker/worker_priv.h"

int
worker_tell(const struct worker *worker, enum message_type type, uint32_t body)
{
	struct message message = {.type = type, .sandbox = body};

	return send(worker_fd(worker, WORKER_FD_MESSAGES), &message,
	    sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT) == -1 ? -1 : 0;
}

/* Several counters a line: a line of the log is bounded. */
static void
log_ledger(const struct ledger *ledger)
{
	const struct ledger_entry *entry;
	char line[800];
	size_t at = 0;

	for (entry = ledger_table; entry->name != NULL; entry++) {
		at += (size_t)snprintf(line + at, sizeof(line) - at,
		    " %s=%" PRIu64, entry->name, ledger_value(ledger, entry));
		if (at > sizeof(line) - 100 || entry[1].name == NULL) {
			log_info("ledger:%s", line);
			at = 0;
		}
	}
}

void
worker_log_ledger(struct worker *worker)
{
	struct ledger ledger;

	ingest_look(&worker->ingest);
	if (segment_ledger(&worker->segment, &ledger))
		log_ledger(&ledger);
	else
		log_warnx("ledger: the archive changes it too fast to be read");
}
