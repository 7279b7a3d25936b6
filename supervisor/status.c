/* SPDX-License-Identifier: ISC */
/*
 * The state of everything, as JSON.  Supervisor only.  The counters come from
 * memory that workers write to: whatever is in there, this prints it.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/ledger.h"
#include "common/sandbox.h"
#include "common/udp.h"
#include "common/util.h"
#include "supervisor/capabilities.h"
#include "supervisor/events.h"
#include "supervisor/levels.h"
#include "supervisor/status.h"
#include "supervisor/supervisor.h"

static json_t *
counter(uint64_t value)
{
	return json_integer((json_int_t)MIN_OF(value, (uint64_t)INT64_MAX));
}

const char *
status_child_state(const struct child *child)
{
	switch (child->state) {
	case CHILD_STARTING:
		return "starting";
	case CHILD_RUNNING:
		return "running";
	case CHILD_STOPPING:
		return child->wanted ? "starting" : "stopped";
	case CHILD_BACKOFF:
		return "backoff";
	case CHILD_FAILED:
		return "failed";
	case CHILD_WAITING:
		return "waiting";
	case CHILD_STOPPED:
		break;
	}
	/* New, and waiting for its namesake's end. */
	return child->spawns == 0 && child->wanted ? "starting" : "stopped";
}

const char *
status_state(struct channel *channel)
{
	reasons_update(channel);
	if (channel->child.state == CHILD_RUNNING) {
		if (reasons_worst(channel) == SEVERITY_DEGRADED)
			return "degraded";
		if (reasons_worst(channel) == SEVERITY_STALE)
			return "stale";
	}
	if (channel->fresh)
		return "starting";
	return status_child_state(&channel->child);
}

/* What is in force, as the process has said. */
static json_t *
sandbox_json(uint32_t parts)
{
	static const struct {
		uint32_t	 part;
		const char	*word;
	} all[] = {
#define SANDBOX_ROW(name, bit, word)	{SANDBOX_##name, word},
		SANDBOX_PARTS(SANDBOX_ROW)
#undef SANDBOX_ROW
	};
	json_t *missing = json_array();
	const char *state = "partial";
	size_t i;

	for (i = 0; i < NITEMS(all); i++)
		if ((parts & all[i].part) == 0)
			json_array_append_new(missing,
			    json_string(all[i].word));
	if (json_array_size(missing) == 0)
		state = "full";
	else if (json_array_size(missing) == NITEMS(all))
		state = "none";
	return json_pack("{s:s, s:o}", "state", state, "missing", missing);
}

static void
add_process(json_t *object, const struct child *child)
{
	uint64_t up_ns = child->pid == 0 ? 0 :
	    clock_monotonic_ns() - child->spawned_ns;

	json_object_set_new(object, "pid", json_integer(child->pid));
	json_object_set_new(object, "uptime_s", counter(up_ns / NS_PER_S));
	if (child->ready_ns != 0)
		json_object_set_new(object, "sandbox",
		    sandbox_json(child->sandbox));
	json_object_set_new(object, "restarts",
	    json_integer(child_restarts(child)));
	if (child->last_exit[0] != '\0')
		json_object_set_new(object, "last_exit",
		    json_string(child->last_exit));
	json_object_set_new(object, "deaths", json_pack("{s:I, s:I, s:I}",
	    "exited", (json_int_t)child->deaths.exited,
	    "signalled", (json_int_t)child->deaths.signalled,
	    "hung", (json_int_t)child->deaths.hung));
}

/* {"address": ..., "port": ...} */
static json_t *
end_json(const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *in6 = (const void *)address;
	const struct sockaddr_in *in = (const void *)address;
	char text[INET6_ADDRSTRLEN];
	in_port_t port;

	if (address->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		port = in6->sin6_port;
	} else {
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		port = in->sin_port;
	}
	return json_pack("{s:s, s:i}", "address", text, "port", ntohs(port));
}

static void
add_counts(json_t *object, const struct ledger_entry *entry,
    const void *counts)
{
	for (; entry->name != NULL; entry++)
		json_object_set_new(object, entry->name,
		    counter(ledger_value(counts, entry)));
}

/*
 * The outputs of the configuration in force.  Until the worker of a change
 * has come, the counters are those of the outputs before.
 */
static json_t *
outputs_json(const struct channel_conf *conf,
    const struct output_counts *counts)
{
	json_t *array = json_array(), *object;
	size_t i;

	for (i = 0; i < conf->relays; i++) {
		object = end_json(&conf->relay[i].address);
		if (conf->relay[i].interface[0] != '\0')
			json_object_set_new(object, "interface",
			    json_string(conf->relay[i].interface));
		add_counts(object, output_table, &counts[i]);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *
stream_json(const struct channel *channel, const struct stream_conf *conf)
{
	uint32_t slot = channel_slot(channel, conf->name);
	json_t *object = end_json(&conf->to.address);
	struct stream_counts counts = {0};

	if (slot >= STREAMS_MAX)
		return object;
	/* The numbers may still be those of the stream before. */
	if (channel->streams.stream[slot].id == channel->slot_id[slot])
		counts = channel->streams.stream[slot].counts;
	add_counts(object, stream_table, &counts);
	if (!conf->archive)
		json_object_del(object, "unarchived");
	return object;
}

static json_t *
decimate_json(const struct channel *channel)
{
	const struct channel_conf *conf = channel->conf;
	json_t *object = json_object();
	size_t i;

	for (i = 0; i < conf->decimates; i++)
		json_object_set_new(object, conf->decimate[i].name,
		    stream_json(channel, &conf->decimate[i]));
	return object;
}

/* The causes whose count is not 0. */
static json_t *
rejected_json(const struct channel *channel)
{
	const uint64_t *by = channel->counts.rejected_by;
	json_t *object = json_object();
	unsigned i;

	for (i = 0; i < DATUM_ERRORS; i++)
		if (by[i] != 0)
			json_object_set_new(object, datum_error_name(i),
			    counter(by[i]));
	return object;
}

static json_t *
time_json(uint64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

/* A detail names paths, which may be no UTF-8. */
static json_t *
reasons_json(const struct channel *channel)
{
	json_t *array = json_array(), *detail;
	unsigned i;

	for (i = 0; i < REASONS; i++) {
		if (!channel->reasons.of[i].holds)
			continue;
		detail = json_string(reasons_detail(channel, i));
		if (detail == NULL)
			detail = json_string(reason_table[i].meaning);
		json_array_append_new(array, json_pack("{s:s, s:o, s:o}",
		    "what", reason_table[i].name,
		    "since", time_json(channel->reasons.of[i].since_ns),
		    "detail", detail));
	}
	return array;
}

/* What cannot be read is shown as it was. */
static void
refresh(struct channel *channel)
{
	bool worker, decimator;

	if (channel->segment.base == NULL)
		return;
	worker = segment_counts(&channel->segment, &channel->counts);
	decimator = decimated_read(&channel->segment.page->progress,
	    &channel->streams);
	channel->counts_current = worker && decimator;
}

/* By number: looking up a name may take its time. */
static json_t *
user_json(const struct privdrop *user)
{
	return json_integer(user->uid != 0 ? user->uid : geteuid());
}

/* With the interface where its group is joined, which routing may have
 * chosen. */
static json_t *
listen_json(const struct channel *channel)
{
	json_t *object = end_json(&channel->conf->listen.address);
	int index = channel->parts.input_at.index;
	char name[IF_NAMESIZE];

	if (channel->parts.input != -1 && index != 0 &&
	    udp_is_group(&channel->conf->listen.address) &&
	    if_indextoname((unsigned)index, name) != NULL)
		json_object_set_new(object, "joined", json_string(name));
	return object;
}

static json_t *
channel_json(struct channel *channel)
{
	json_t *object = json_object(), *ledger = json_object();

	refresh(channel);
	add_counts(ledger, ledger_table, &channel->counts.ledger);
	json_object_set_new(object, "name", json_string(channel->name));
	json_object_set_new(object, "state",
	    json_string(status_state(channel)));
	json_object_set_new(object, "reasons", reasons_json(channel));
	add_process(object, &channel->child);
	json_object_set_new(object, "user", user_json(&channel->user));
	if (!channel->conf->archives_stream)
		json_object_set_new(object, "listen", listen_json(channel));
	json_object_set_new(object, "outage_budget_ms",
	    counter(budget_ms(channel)));
	json_object_set_new(object, "peak_rate",
	    counter(channel->budget.peak_rate));
	json_object_set_new(object, "archive",
	    json_boolean(channel->conf->archive.enabled));
	json_object_set_new(object, "archive_stuck",
	    json_boolean(channel->watch.archive_stuck));
	json_object_set_new(object, "counters_current",
	    json_boolean(channel->counts_current));
	levels_add(object, channel);
	json_object_set_new(object, "ledger", ledger);
	json_object_set_new(object, "rejected_by", rejected_json(channel));
	json_object_set_new(object, "outputs",
	    outputs_json(channel->conf, channel->counts.output));
	json_object_set_new(object, "decimate", decimate_json(channel));
	return object;
}

static json_t *
decimator_json(const struct decimator *decimator)
{
	json_t *object = json_object(), *channels = json_array();
	const struct channel *channel;

	TAILQ_FOREACH(channel, &decimator->supervisor->channels, link)
		if (channel->decimator == decimator)
			json_array_append_new(channels,
			    json_string(channel->name));
	json_object_set_new(object, "number",
	    json_integer(decimator_number(decimator)));
	json_object_set_new(object, "state",
	    json_string(status_child_state(&decimator->child)));
	add_process(object, &decimator->child);
	json_object_set_new(object, "user",
	    user_json(&decimator->supervisor->conf->decimator_user));
	json_object_set_new(object, "channels", channels);
	return object;
}

static json_t *
web_json(const struct web *web)
{
	bool lacks = web->child.pid == 0 && web->lack[0] != '\0';
	json_t *object = json_object();

	json_object_set_new(object, "state", json_string(lacks ? "waiting" :
	    status_child_state(&web->child)));
	if (lacks)
		json_object_set_new(object, "detail",
		    events_text(web->lack));
	add_process(object, &web->child);
	json_object_set_new(object, "user",
	    user_json(&web->supervisor->conf->web_user));
	return object;
}

/* The decimators in use, and those that have yet to end. */
static json_t *
decimators_json(const struct supervisor *supervisor)
{
	json_t *array = json_array();
	unsigned i;

	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		if (i < supervisor->decimators ||
		    supervisor->decimator[i].child.pid != 0)
			json_array_append_new(array,
			    decimator_json(&supervisor->decimator[i]));
	return array;
}

json_t *
status_json(const struct supervisor *supervisor, const struct channel *only)
{
	uint64_t up_ns = clock_monotonic_ns() - supervisor->started_ns;
	json_t *object = json_object(), *channels = json_array();
	struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (only == NULL || channel == only)
			json_array_append_new(channels,
			    channel_json(channel));
	json_object_set_new(object, "version", json_string(PACKAGE_VERSION));
	json_object_set_new(object, "pid", json_integer(getpid()));
	json_object_set_new(object, "uptime_s", counter(up_ns / NS_PER_S));
	json_object_set_new(object, "user", json_integer(geteuid()));
	json_object_set_new(object, "capabilities", capabilities_json());
	json_object_set_new(object, "decimators",
	    decimators_json(supervisor));
	if (supervisor->conf != NULL &&
	    supervisor->conf->web.address.ss_family != AF_UNSPEC)
		json_object_set_new(object, "web",
		    web_json(&supervisor->web));
	json_object_set_new(object, "channels", channels);
	return object;
}
