/* SPDX-License-Identifier: ISC */
/*
 * What the daemon knows and the doctor asks.  See facts.h.  Supervisor only.
 */
#include <net/if.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/facts.h"
#include "supervisor/status.h"
#include "supervisor/supervisor.h"

static json_t *
queriers_facts(const struct querier *querier)
{
	uint64_t now_ns = clock_monotonic_ns();
	json_t *array = json_array();
	const struct querier_link *link;
	char interface[IF_NAMESIZE];
	json_int_t heard_s;
	size_t i;

	for (i = 0; i < querier->links; i++) {
		link = &querier->link[i];
		if (if_indextoname((unsigned)link->index, interface) == NULL)
			continue;
		heard_s = link->heard_ns == 0 ? -1 :
		    (json_int_t)((now_ns - link->heard_ns) / NS_PER_S);
		json_array_append_new(array, json_pack(
		    "{s:s, s:s, s:I, s:b}", "interface", interface,
		    "protocol", link->family == AF_INET6 ? "MLD" : "IGMP",
		    "heard_s", heard_s, "missing", (int)link->missing));
	}
	return array;
}

json_t *
facts_json(struct supervisor *supervisor)
{
	/* Without a background it is standard error, whatever the file says. */
	return json_pack("{s:b, s:o, s:o, s:b}",
	    "logs_to_stderr", (int)(supervisor->conf->log_target ==
	    LOG_TARGET_STDERR),
	    "status", status_json(supervisor),
	    "queriers", queriers_facts(&supervisor->querier),
	    "hears_queries", (int)(supervisor->querier.hears[0] ||
	    supervisor->querier.hears[1]));
}
