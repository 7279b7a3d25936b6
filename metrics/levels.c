/* SPDX-License-Identifier: ISC */
/*
 * What the status tells of a channel in one number.  Any process that prints
 * metrics.
 */
#include <string.h>

#include "common/util.h"
#include "metrics/metrics_priv.h"

#define LEVEL(name, unit, help)	{"", name, METRIC_GAUGE, unit, help}

/* Where a number is in a channel's status, and what it is divided by to be in
 * the base unit. */
struct level {
	struct metric	 metric;
	const char	*section;	/* NULL: the channel itself */
	const char	*member;
	uint64_t	 divisor;
};

static const struct level times[] = {
	{{"channel_", "restarts", METRIC_COUNTER, NULL,
	    "workers that have followed another"}, NULL, "restarts", 1},
	{LEVEL("channel_last_restart_away_seconds", "seconds",
	    "from the end of a worker until the next was ready, the last "
	    "time; 0: never since mcrelayd was started"),
	    NULL, "away_ms", 1000},
	{LEVEL("outage_budget_seconds", "seconds",
	    "how long the channel can be without a worker and lose nothing"),
	    NULL, "outage_budget_ms", 1000},
	{LEVEL("last_datagram_timestamp_seconds", "seconds",
	    "when the last datagram came, since 1970; 0: never"),
	    NULL, "last_datagram_ns", NS_PER_S},
	{LEVEL("counters_current", NULL, "whether the counters are those of "
	    "now; 0: earlier ones"), NULL, "counters_current", 1},
};

static const struct level levels[] = {
	{LEVEL("ring_size_bytes", "bytes", "the size of the ring"),
	    "ring", "size_bytes", 1},
	{LEVEL("ring_used_bytes", "bytes",
	    "of it, what the archive has yet to store"),
	    "ring", "used_bytes", 1},
	{LEVEL("socket_buffer_bytes", "bytes",
	    "the size of the socket's receive buffer"),
	    "socket", "buffer_bytes", 1},
	{LEVEL("socket_queued_bytes", "bytes",
	    "of it, what waits, with the kernel's overhead"),
	    "socket", "queued_bytes", 1},
	{LEVEL("archive_free_bytes", "bytes",
	    "free on the file system of the archive, as of the last 10 "
	    "seconds"), "storage", "free_bytes", 1},
	{LEVEL("archive_oldest_timestamp_seconds", "seconds",
	    "when the oldest file was finished that retention may remove; "
	    "0: there is none"), "storage", "oldest_ns", NS_PER_S},
	{LEVEL("archive_retain_age_seconds", "seconds",
	    "the limit `retain: age'; 0: none"),
	    "storage", "retain_age_ms", 1000},
	{LEVEL("archive_retain_size_bytes", "bytes",
	    "the limit `retain: size'; 0: none"),
	    "storage", "retain_bytes", 1},
	{LEVEL("archive_retain_files", NULL,
	    "the limit `retain: files'; 0: none"),
	    "storage", "retain_files", 1},
	{LEVEL("archive_min_free_bytes", "bytes",
	    "the limit `min_free'; 0: none"),
	    "storage", "min_free_bytes", 1},
	{LEVEL("archive_write_fallback", NULL,
	    "whether the open file is not written as `write' says, because "
	    "its file system or the kernel cannot"), "io", "write_fallback",
	    1},
};

/* The name in the status is a label. */
static const struct metric archive_write = {"", "archive_write", METRIC_INFO,
    NULL, "how the archive is written"};

static const struct level forwarding[] = {
	{{"forward_", "messages", METRIC_COUNTER, NULL,
	    "messages that the servers have stored"},
	    "forward", "messages", 1},
	{{"forward_", "records", METRIC_COUNTER, NULL, "records in these"},
	    "forward", "records", 1},
	{{"forward_", "bytes", METRIC_COUNTER, "bytes",
	    "bytes in these, without headers"}, "forward", "bytes", 1},
	{{"forward_", "refused", METRIC_COUNTER, NULL,
	    "messages that the servers refused for a limit"},
	    "forward", "refused", 1},
	{{"forward_", "resyncs", METRIC_COUNTER, NULL,
	    "times that the end of the stream was read anew"},
	    "forward", "resyncs", 1},
	{LEVEL("forward_behind_bytes", "bytes",
	    "of the archive, what the servers have yet to store"),
	    "forward", "behind_bytes", 1},
	{LEVEL("forward_behind_seconds", "seconds",
	    "since when the oldest of that has been there; 0: there is none"),
	    "forward", "behind_ms", 1000},
};

static const struct level leases[] = {
	{LEVEL("lease_left_seconds", "seconds",
	    "for how long this host may relay the channel if it hears no more "
	    "of the servers; 0: it may not"), "lease", "left_ms", 1000},
	{LEVEL("lease_seen_seconds", "seconds",
	    "since a server has last told whose turn it is"),
	    "lease", "seen_ms", 1000},
	{LEVEL("lease_standbys", NULL,
	    "other hosts that would have the channel, while this one has it"),
	    "lease", "standbys", 1},
	{{"lease_", "taken", METRIC_COUNTER, NULL,
	    "times that this host has taken the channel"},
	    "lease", "taken", 1},
	{{"lease_", "handed", METRIC_COUNTER, NULL,
	    "times that this host has handed it over, with nothing missing"},
	    "lease", "handed", 1},
	{{"lease_", "given", METRIC_COUNTER, NULL,
	    "times that this host has given it away, as it was stopped here "
	    "or did not run"}, "lease", "given", 1},
	{{"lease_", "lost", METRIC_COUNTER, NULL,
	    "times that this host could not renew it in time"},
	    "lease", "lost", 1},
};

/* Hosts are labels. */
static const struct metric lease_active = {"", "lease_active", METRIC_GAUGE,
    NULL, "whether it is this host that relays the channel"};
static const struct metric lease_holder = {"", "lease_holder", METRIC_GAUGE,
    NULL, "whether that host has the channel, as this one was told last"};

static void
print(struct walk *walk, const struct level *level, size_t count)
{
	const struct level *end = level + count;
	struct chosen *channel;
	size_t i;

	for (; level < end; level++)
		for (i = 0; i < walk->channels; i++) {
			channel = &walk->channel[i];
			metrics_sample(walk, &level->metric,
			    (struct label[]){
			    {"channel", channel->name}, {NULL, NULL}},
			    chosen_member(channel, level->section,
			    level->member), level->divisor);
		}
}

void
metrics_times(struct walk *walk)
{
	print(walk, times, NITEMS(times));
}

static void
print_write(struct walk *walk)
{
	const char *write;
	size_t i;

	for (i = 0; i < walk->channels; i++) {
		write = text_member(node_get(walk->channel[i].node, "io"),
		    "write");
		if (write != NULL)
			exposition_sample(&walk->out, &archive_write,
			    (struct label[]){
			    {"channel", walk->channel[i].name},
			    {"write", write}, {NULL, NULL}}, 1, 1);
	}
}

static void
print_active(struct walk *walk)
{
	const char *role;
	size_t i;

	for (i = 0; i < walk->channels; i++) {
		role = text_member(node_get(walk->channel[i].node, "lease"),
		    "role");
		if (role != NULL)
			exposition_sample(&walk->out, &lease_active,
			    (struct label[]){
			    {"channel", walk->channel[i].name}, {NULL, NULL}},
			    strcmp(role, "active") == 0, 1);
	}
}

static void
print_holders(struct walk *walk, const struct chosen *channel)
{
	const struct node *lease = node_get(channel->node, "lease"), *each;
	const char *holder = text_member(lease, "holder"), *host;

	NODE_FOREACH(each, node_get(lease, "hosts")) {
		host = node_text(each);
		if (host != NULL)
			exposition_sample(&walk->out, &lease_holder,
			    (struct label[]){{"channel", channel->name},
			    {"host", host}, {NULL, NULL}}, holder != NULL &&
			    strcmp(host, holder) == 0, 1);
	}
}

static void
print_leases(struct walk *walk)
{
	size_t i;

	print_active(walk);
	for (i = 0; i < walk->channels; i++)
		print_holders(walk, &walk->channel[i]);
	print(walk, leases, NITEMS(leases));
}

void
metrics_levels(struct walk *walk)
{
	print(walk, levels, NITEMS(levels));
	print_write(walk);
	print(walk, forwarding, NITEMS(forwarding));
	print_leases(walk);
}
