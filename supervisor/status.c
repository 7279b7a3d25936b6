/* SPDX-License-Identifier: ISC */
/*
 * The state of everything, as JSON.  Supervisor only.  The counters come from
 * memory that workers write to: whatever is in there, this prints it.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/inputs.h"
#include "common/ledger.h"
#include "common/sandbox.h"
#include "common/udp.h"
#include "common/util.h"
#include "supervisor/capabilities.h"
#include "supervisor/events.h"
#include "supervisor/json_text.h"
#include "supervisor/levels.h"
#include "supervisor/shards.h"
#include "supervisor/status_priv.h"
#include "supervisor/supervisor.h"
#include "supervisor/udp_errors.h"

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
		if (reasons_worst(channel) == SEVERITY_PAUSED)
			return "paused";
	}
	if (channel->fresh)
		return "starting";
	return status_child_state(&channel->child);
}

/* What is in force, as the process has said. */
static void
print_sandbox(struct growing *out, uint32_t parts)
{
	static const struct {
		uint32_t	 part;
		const char	*word;
	} all[] = {
#define SANDBOX_ROW(name, bit, word)	{SANDBOX_##name, word},
		SANDBOX_PARTS(SANDBOX_ROW)
#undef SANDBOX_ROW
	};
	size_t i, missing = 0;

	for (i = 0; i < NITEMS(all); i++)
		missing += (parts & all[i].part) == 0;
	json_text_open(out, "sandbox", '{');
	json_text_string(out, "state", missing == 0 ? "full" :
	    missing == NITEMS(all) ? "none" : "partial");
	json_text_open(out, "missing", '[');
	for (i = 0; i < NITEMS(all); i++)
		if ((parts & all[i].part) == 0)
			json_text_string(out, NULL, all[i].word);
	json_text_close(out, ']');
	json_text_close(out, '}');
}

static void
print_process(struct growing *out, const struct child *child)
{
	uint64_t up_ns = child->pid == 0 ? 0 :
	    clock_monotonic_ns() - child->spawned_ns;

	json_text_number(out, "pid", (uint64_t)child->pid);
	json_text_number(out, "uptime_s", up_ns / NS_PER_S);
	if (child->ready_ns != 0)
		print_sandbox(out, child->sandbox);
	json_text_number(out, "restarts", child_restarts(child));
	if (child->last_exit[0] != '\0')
		json_text_string(out, "last_exit", child->last_exit);
	json_text_open(out, "deaths", '{');
	json_text_number(out, "exited", child->deaths.exited);
	json_text_number(out, "signalled", child->deaths.signalled);
	json_text_number(out, "hung", child->deaths.hung);
	json_text_close(out, '}');
}

static void
print_stream_counts(struct growing *out, const struct stream_counts *counts,
    bool archived)
{
	const struct ledger_entry *entry;

	for (entry = stream_table; entry->name != NULL; entry++)
		if (archived || entry->offset !=
		    offsetof(struct stream_counts, unarchived))
			json_text_number(out, entry->name,
			    ledger_value(counts, entry));
}

static void
print_stream(struct growing *out, const struct channel *channel,
    const struct stream_conf *conf)
{
	uint32_t slot = channel_slot(channel, conf->name);
	static const struct stream_counts none;

	json_text_open(out, conf->name, '{');
	status_print_end(out, &conf->to.address);
	/* The numbers may still be those of the stream before. */
	if (slot < STREAMS_MAX)
		print_stream_counts(out, channel->streams.stream[slot].id ==
		    channel->slot_id[slot] ?
		    &channel->streams.stream[slot].counts : &none,
		    conf->archive);
	json_text_close(out, '}');
}

static void
print_decimate(struct growing *out, const struct channel *channel)
{
	const struct channel_conf *conf = channel->conf;
	size_t i;

	json_text_open(out, "decimate", '{');
	for (i = 0; i < conf->decimates; i++)
		print_stream(out, channel, &conf->decimate[i]);
	json_text_close(out, '}');
}

/* The causes whose count is not 0. */
static void
print_rejected(struct growing *out, const struct channel *channel)
{
	const uint64_t *by = channel->counts.rejected_by;
	unsigned i;

	json_text_open(out, "rejected_by", '{');
	for (i = 0; i < DATUM_ERRORS; i++)
		if (by[i] != 0)
			json_text_number(out, datum_error_name(i), by[i]);
	json_text_close(out, '}');
}

static void
print_time(struct growing *out, const char *name, uint64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_text_string(out, name, text);
}

/* A detail names paths, which may be no UTF-8. */
static void
print_reasons(struct growing *out, const struct channel *channel)
{
	const char *detail;
	unsigned i;

	json_text_open(out, "reasons", '[');
	for (i = 0; i < REASONS; i++) {
		if (!channel->reasons.of[i].holds)
			continue;
		detail = reasons_detail(channel, i);
		if (!json_text_takes(detail))
			detail = reason_table[i].meaning;
		json_text_open(out, NULL, '{');
		json_text_string(out, "what", reason_table[i].name);
		print_time(out, "since", channel->reasons.of[i].since_ns);
		json_text_string(out, "detail", detail);
		json_text_close(out, '}');
	}
	json_text_close(out, ']');
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
static void
print_user(struct print *print, const struct privdrop *user)
{
	json_text_number(print->out, "user",
	    user->uid != 0 ? user->uid : print->self);
}

static void
print_ledger(struct growing *out, const struct channel *channel)
{
	json_text_open(out, "ledger", '{');
	status_print_counts(out, ledger_table, &channel->counts.ledger);
	json_text_close(out, '}');
}

static void
print_channel(struct print *print, struct channel *channel)
{
	struct growing *out = print->out;

	refresh(channel);
	json_text_open(out, NULL, '{');
	json_text_string(out, "name", channel->name);
	json_text_string(out, "state", status_state(channel));
	print_reasons(out, channel);
	if (channel->child.hosted && channel->child.pid != 0)
		json_text_string(out, "worker", channel->conf->worker);
	print_process(out, &channel->child);
	print_user(print, &channel->user);
	if (!channel->conf->archives_stream) {
		status_print_listen(print, channel);
		status_print_inputs(print, channel);
	}
	json_text_number(out, "outage_budget_ms", budget_ms(channel));
	json_text_number(out, "peak_rate", channel->budget.peak_rate);
	json_text_truth(out, "archive", channel->conf->archive.enabled);
	json_text_truth(out, "archive_stuck", channel->watch.archive_stuck);
	json_text_truth(out, "counters_current", channel->counts_current);
	levels_print(out, channel);
	print_ledger(out, channel);
	print_rejected(out, channel);
	status_print_outputs(out, channel, channel->counts.output);
	print_decimate(out, channel);
	forwarder_print(out, channel);
	fleet_print(out, channel);
	json_text_close(out, '}');
}

static void
print_decimator(struct print *print, const struct decimator *decimator)
{
	const struct channel *channel;
	struct growing *out = print->out;

	json_text_open(out, NULL, '{');
	json_text_number(out, "number",
	    (uint64_t)decimator_number(decimator));
	json_text_string(out, "state", status_child_state(&decimator->child));
	print_process(out, &decimator->child);
	print_user(print, &decimator->supervisor->conf->decimator_user);
	json_text_open(out, "channels", '[');
	TAILQ_FOREACH(channel, &decimator->supervisor->channels, link)
		if (channel->decimator == decimator)
			json_text_string(out, NULL, channel->name);
	json_text_close(out, ']');
	json_text_close(out, '}');
}

static void
print_web(struct print *print, const struct web *web)
{
	bool lacks = web->child.pid == 0 && web->lack[0] != '\0';
	struct growing *out = print->out;

	json_text_open(out, "web", '{');
	json_text_string(out, "state", lacks ? "waiting" :
	    status_child_state(&web->child));
	if (lacks)
		json_text_value(out, "detail", events_text(web->lack));
	if (web->files.expires_s != 0)
		json_text_number(out, "certificate_expires",
		    (uint64_t)web->files.expires_s);
	print_process(out, &web->child);
	print_user(print, &web->supervisor->conf->web_user);
	json_text_close(out, '}');
}

static void
print_forwarder(struct print *print, const struct forwarder *forwarder)
{
	const struct channel *channel;
	struct growing *out = print->out;

	json_text_open(out, NULL, '{');
	json_text_string(out, "state", status_child_state(&forwarder->child));
	print_process(out, &forwarder->child);
	print_user(print, &forwarder->supervisor->conf->decimator_user);
	json_text_open(out, "channels", '[');
	TAILQ_FOREACH(channel, &forwarder->supervisor->channels, link)
		if (channel->forwarder == forwarder)
			json_text_string(out, NULL, channel->name);
	json_text_close(out, ']');
	if (forwarder->page != NULL)
		json_text_number(out, "connects", atomic_load_explicit(
		    &forwarder->page->connects, memory_order_relaxed));
	if (forwarder->page != NULL && forwarder->live.out != -1) {
		json_text_number(out, "shown", atomic_load_explicit(
		    &forwarder->page->shown, memory_order_relaxed));
		json_text_number(out, "not_shown", atomic_load_explicit(
		    &forwarder->page->not_shown, memory_order_relaxed));
	}
	json_text_close(out, '}');
}

static void
print_forwarders(struct print *print, const struct supervisor *supervisor)
{
	const unsigned wanted = conf_forwarders(supervisor->conf);
	unsigned i;

	if (wanted == 0)
		return;
	json_text_open(print->out, "forwarders", '[');
	for (i = 0; i < NITEMS(supervisor->forwarder); i++)
		if (i < wanted || supervisor->forwarder[i].child.pid != 0)
			print_forwarder(print, &supervisor->forwarder[i]);
	json_text_close(print->out, ']');
}

static void
print_fleet(struct print *print, const struct fleet *fleet)
{
	struct growing *out = print->out;

	if (!conf_has_leases(fleet->supervisor->conf))
		return;
	json_text_open(out, "fleet", '{');
	json_text_string(out, "state", status_child_state(&fleet->child));
	print_process(out, &fleet->child);
	print_user(print, &fleet->supervisor->conf->decimator_user);
	fleet_print_all(out, fleet);
	json_text_close(out, '}');
}

/* The decimators in use, and those that have yet to end. */
static void
print_decimators(struct print *print, const struct supervisor *supervisor)
{
	unsigned i;

	json_text_open(print->out, "decimators", '[');
	for (i = 0; i < NITEMS(supervisor->decimator); i++)
		if (i < supervisor->decimators ||
		    supervisor->decimator[i].child.pid != 0)
			print_decimator(print, &supervisor->decimator[i]);
	json_text_close(print->out, ']');
}

/* No socket is told of those, so no channel either. */
static void
print_bad_checksums(struct growing *out)
{
	struct udp_errors errors;

	udp_errors_read(&errors);
	if (errors.known[UDP_CHECKSUM])
		json_text_number(out, "udp_bad_checksums",
		    errors.value[UDP_CHECKSUM]);
}

void
status_print(struct growing *out, const char *name,
    const struct supervisor *supervisor, const char *only)
{
	uint64_t up_ns = clock_monotonic_ns() - supervisor->started_ns;
	struct print print = {.out = out, .self = geteuid()};
	struct channel *channel;

	json_text_open(out, name, '{');
	json_text_string(out, "version", PACKAGE_VERSION);
	json_text_number(out, "pid", (uint64_t)getpid());
	json_text_number(out, "uptime_s", up_ns / NS_PER_S);
	json_text_number(out, "user", print.self);
	json_text_value(out, "capabilities", capabilities_json());
	print_bad_checksums(out);
	print_decimators(&print, supervisor);
	if (supervisor->conf != NULL &&
	    supervisor->conf->web.address.ss_family != AF_UNSPEC)
		print_web(&print, &supervisor->web);
	if (supervisor->conf != NULL) {
		print_forwarders(&print, supervisor);
		print_fleet(&print, &supervisor->fleet);
	}
	json_text_open(out, "channels", '[');
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (only == NULL || shards_named(channel, only))
			print_channel(&print, channel);
	json_text_close(out, ']');
	shards_print(out, supervisor, only);
	json_text_close(out, '}');
}

json_t *
status_json(const struct supervisor *supervisor)
{
	struct growing out = {.text = NULL};
	json_t *status;

	status_print(&out, NULL, supervisor, NULL);
	status = json_loadb(out.text, out.size, 0, NULL);
	assert(status != NULL);
	free(out.text);
	return status;
}
