/* SPDX-License-Identifier: ISC */
/*
 * Hosts that stand by cold: without worker and sockets, until it is their turn.
 * The ring is kept.  Supervisor only.
 */
#include "common/log.h"
#include "common/util.h"
#include "supervisor/fleet_priv.h"
#include "supervisor/report.h"
#include "supervisor/supervisor.h"

/* Of one that could not be started: others first. */
#define UNFIT_NS	(60 * NS_PER_S)

static bool
is_cold(const struct channel *channel)
{
	return channel->conf->leased && channel->conf->cold;
}

bool
fleet_sleeps(const struct channel *channel)
{
	return is_cold(channel) && fleet_is_standby(channel) &&
	    !channel->needed;
}

static void
start(struct channel *channel)
{
	struct conf_problems problems = {NULL, 0, 0};

	log_info("channel %s: started, as this host is to have it",
	    channel->name);
	channel_start(channel, &problems);
	report_log(&problems, 0);
	conf_problems_free(&problems);
}

static void
put_to_sleep(struct channel *channel, uint64_t now)
{
	if (channel->child.state != CHILD_RUNNING)
		channel->unfit_until_ns = now + UNFIT_NS;
	log_info("channel %s: another host has it: stands by cold",
	    channel->name);
	channel_stop(channel);
	channel->asleep = true;
}

void
fleet_wake(struct channel *channel, bool ordered)
{
	uint64_t now = clock_boottime_ns();

	if (channel->supervisor->phase == PHASE_STOPPING)
		return;
	channel->needed = ordered || !fleet_is_standby(channel);
	if (channel->needed)
		channel->needed_ns = now;
	if (channel->asleep && !fleet_sleeps(channel))
		start(channel);
	else if (fleet_sleeps(channel) && channel->child.wanted &&
	    now - channel->needed_ns > channel->supervisor->conf->lease_ns)
		put_to_sleep(channel, now);
}
