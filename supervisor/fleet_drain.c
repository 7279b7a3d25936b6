/* SPDX-License-Identifier: ISC */
/*
 * A host whose channels are all to be handed over, before it is stopped.
 * Supervisor only.
 */
#include <stdio.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/commands.h"
#include "supervisor/fleet_priv.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"

void
fleet_drain(struct fleet *fleet, bool on)
{
	if (fleet->drained == on)
		return;
	fleet->drained = on;
	fleet->drained_ns = clock_boottime_ns();
	log_info(on ? "drained: hands over what other hosts can have, and "
	    "takes nothing" : "not drained any more: takes what is its turn");
	tell_drain(fleet->supervisor, on);
	supervisor_notice(fleet->supervisor);
}

uint64_t
fleet_drained_since(const struct fleet *fleet)
{
	return fleet->drained ? fleet->drained_ns : 0;
}

void
fleet_inherit(struct fleet *fleet, uint64_t since_ns)
{
	uint64_t now = clock_boottime_ns();

	fleet->drained = since_ns != 0;
	fleet->drained_ns = since_ns <= 1 ? now : MIN_OF(since_ns, now);
}

/* In a lease nobody was seen to say that he would have it, as who does says six
 * times.  While servers do not answer that is not so, and the turn ends. */
static bool
is_alone(const struct channel *channel)
{
	const struct supervisor *supervisor = channel->supervisor;
	uint64_t from, to;

	if (channel->lease == NULL)
		return false;
	from = fleet_load(&channel->lease->alone_ns);
	to = fleet_load(&channel->lease->alone_to_ns);
	return from != 0 && to > supervisor->conf->lease_ns +
	    MAX_OF(from, supervisor->fleet.drained_ns);
}

json_t *
fleet_drain_check(const struct fleet *fleet)
{
	const struct channel *channel;
	char names[400] = "";
	size_t at = 0;

	if (!fleet->drained)
		return command_error("undrained meanwhile");
	TAILQ_FOREACH(channel, &fleet->supervisor->channels, link) {
		if (!channel->conf->leased || fleet_is_standby(channel))
			continue;
		if (!is_alone(channel))
			return NULL;
		if (at < sizeof(names))
			at += (size_t)snprintf(names + at, sizeof(names) - at,
			    "%s%s", at > 0 ? ", " : "", channel->name);
	}
	if (at == 0)
		return json_pack("{s:b}", "ok", 1);
	return command_error("no other host can have %s: this one goes on, and "
	    "hands over when one can; mcrelayctl undrain to keep all", names);
}
