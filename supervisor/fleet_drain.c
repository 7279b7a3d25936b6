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

/* So long nobody has said that he would have it, as who does says six times in
 * a lease. */
static bool
is_alone(const struct channel *channel)
{
	uint64_t alone = channel->lease == NULL ? 0 :
	    fleet_load(&channel->lease->alone_ns);

	alone = alone == 0 ? 0 :
	    MAX_OF(alone, channel->supervisor->fleet.drained_ns);
	return alone != 0 && clock_boottime_ns() - alone >
	    channel->supervisor->conf->lease_ns;
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
