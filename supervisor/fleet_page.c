/* SPDX-License-Identifier: ISC */
/*
 * What the process that asks for channels says of them, in the page that it
 * shares with us, and what is said of that.  Supervisor only.
 */
#include <string.h>

#include "common/growing.h"
#include "common/util.h"
#include "supervisor/channel.h"
#include "supervisor/fleet_priv.h"
#include "supervisor/json_text.h"
#include "supervisor/supervisor.h"

/* So long a namesake is told of. */
#define LEASES_LATELY	10

static void
add_counts(struct lease_counts *counts, const struct lease_slot *slot)
{
#define ADD_COUNT(name, meaning)	counts->name += fleet_load(&slot->name);
	LEASE_COUNTERS(ADD_COUNT)
#undef ADD_COUNT
}

static uint64_t
last_seen(const struct channel *channel)
{
	uint64_t seen = channel->lease_seen_ns;

	if (channel->lease != NULL)
		seen = MAX_OF(seen, fleet_load(&channel->lease->seen_ns));
	return MIN_OF(seen, clock_boottime_ns());
}

void
fleet_page_take(struct fleet *fleet)
{
	struct channel *channel;

	TAILQ_FOREACH(channel, &fleet->supervisor->channels, link)
		if (channel->lease != NULL) {
			add_counts(&channel->lease_counts, channel->lease);
			channel->lease_seen_ns = last_seen(channel);
		}
	memset(fleet->page->slot, 0, sizeof(fleet->page->slot));
	fleet_store(&fleet->page->replicas, 0);
	fleet_store(&fleet->page->forgets_ns, 0);
}

bool
fleet_is_away(const struct channel *channel)
{
	/* So long nobody takes it who sees no change. */
	return channel->conf->leased && channel->lease_seen_ns != 0 &&
	    clock_boottime_ns() - last_seen(channel) >
	    LEASE_WAIT(channel->supervisor->conf->lease_ns);
}

/*** Said. ***/

void
fleet_print_all(struct growing *out, const struct fleet *fleet)
{
	const struct conf *conf = fleet->supervisor->conf;

	json_text_string(out, "host", conf->host);
	json_text_string(out, "bucket", conf->fleet_bucket);
	json_text_number(out, "lease_ms", conf->lease_ns / NS_PER_MS);
	if (fleet->page != NULL) {
		json_text_number(out, "replicas",
		    fleet_load(&fleet->page->replicas));
		json_text_number(out, "forgets_ms",
		    fleet_load(&fleet->page->forgets_ns) / NS_PER_MS);
	}
	json_text_truth(out, "drained", fleet->drained);
	if (fleet->drained)
		json_text_number(out, "drained_s", (clock_boottime_ns() -
		    fleet->drained_ns) / NS_PER_S);
}

static void
print_hosts(struct growing *out, const struct channel_conf *conf)
{
	unsigned i;

	json_text_open(out, "hosts", '[');
	for (i = 0; i < conf->hosts; i++)
		json_text_string(out, NULL, conf->host[i]);
	json_text_close(out, ']');
}

/* What is known of the others, and when that was. */
static void
print_slot(struct growing *out, const struct channel *channel, bool standby)
{
	const struct lease_slot *slot = channel->lease;
	const struct channel_conf *conf = channel->conf;
	uint64_t holder, namesake;

	if (slot == NULL)
		return;
	holder = fleet_load(&slot->holder);
	if (holder < conf->hosts)
		json_text_string(out, "holder", conf->host[holder]);
	if (!standby)
		json_text_number(out, "standbys", fleet_load(&slot->standbys));
	json_text_number(out, "slow_ms", fleet_load(&slot->slow_ns) /
	    NS_PER_MS);
	namesake = fleet_load(&slot->namesake_ns);
	json_text_truth(out, "namesake", namesake != 0 &&
	    clock_boottime_ns() - namesake <
	    LEASES_LATELY * channel->supervisor->conf->lease_ns);
}

void
fleet_print(struct growing *out, const struct channel *channel)
{
	struct lease_counts counts = channel->lease_counts;
	const uint64_t now = clock_boottime_ns();
	const bool standby = fleet_is_standby(channel);

	if (!channel->conf->leased)
		return;
	if (channel->lease != NULL)
		add_counts(&counts, channel->lease);
	json_text_open(out, "lease", '{');
	json_text_string(out, "role", standby ? "standby" : "active");
	print_hosts(out, channel->conf);
	print_slot(out, channel, standby);
	json_text_number(out, "left_ms", standby ? 0 :
	    (channel->speak_until_ns - now) / NS_PER_MS);
	json_text_number(out, "seen_ms", (now - MIN_OF(now,
	    last_seen(channel))) / NS_PER_MS);
#define PRINT_COUNT(name, meaning)					\
	json_text_number(out, #name, counts.name);
	LEASE_COUNTERS(PRINT_COUNT)
#undef PRINT_COUNT
	json_text_close(out, '}');
}
