/* SPDX-License-Identifier: ISC */
/*
 * Adds up what a configuration needs.  See needs.h.  Supervisor only.
 */
#include <sys/resource.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/xdp_input.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/capabilities.h"
#include "supervisor/dirs.h"
#include "supervisor/fanout.h"
#include "supervisor/needs.h"
#include "supervisor/report.h"
#include "supervisor/segment_spec.h"
#include "supervisor/xdp_socket.h"

/* Whatever the channels are: standard files, the loop's, the network's, those
 * of run_dir, some clients of the control socket, and a process that is being
 * started.  Each decimator has a socket, and a pipe to be heard by. */
#define OWN_DESCRIPTORS		40U
/* Of each channel beside its sockets: segment, eventfd, messages, and what
 * its worker is heard by. */
#define CHANNEL_DESCRIPTORS	4U
/* Of a worker with an archive, beside its own (worker/archive/). */
#define ARCHIVE_THREADS		4U

/* Of a worker that channels share: its own, and of each channel what the
 * archive opens, and a loop of its own. */
#define SHARED_DESCRIPTORS	19U
#define ARCHIVE_DESCRIPTORS	9U
#define LOOP_DESCRIPTORS	3U

/* Of an AF_XDP input: its socket, its memory, and the program at its
 * interface. */
#define XDP_DESCRIPTORS		3U

/* Of mcrelay-web: its socket, those that streams are shown by, messages, what
 * it is heard by, and two files on their way to it. */
#define WEB_DESCRIPTORS		7U

/* Of a forwarder: messages, what it is heard by, what it is told, its page; and
 * of the first, if it has streams, those that they are shown by, and which. */
#define FORWARDER_DESCRIPTORS	4U
#define LIVE_DESCRIPTORS	3U

/*** Needs. ***/

static uint64_t
inputs_of(const struct channel_conf *channel)
{
	/* What archives a stream is fed by a socket. */
	return channel->archives_stream ? 2 : channel->inputs +
	    (channel->listen[0].xdp ? XDP_DESCRIPTORS : 0);
}

static uint64_t
worker_parts_of(const struct channel_conf *channel)
{
	return channel->relays + (channel->archive.enabled ? 1 : 0);
}

/* Two each: one looks for the directory, one writes schemas into it. */
static uint64_t
errands_of(const struct channel_conf *channel)
{
	if (!channel->archive.enabled ||
	    dirs_is_near(channel->archive.directory))
		return 0;
	return channel->decimates > 0 ? 4 : 2;
}

/* Without those by which we know the sockets of shared ports (fanout.h). */
static uint64_t
descriptors_of(const struct channel_conf *channel)
{
	return CHANNEL_DESCRIPTORS + inputs_of(channel) +
	    worker_parts_of(channel) + channel->decimates +
	    errands_of(channel);
}

/* What a reload opens for it before it closes anything.  An input that is not
 * opened again after all is counted, too. */
static uint64_t
beside_of(const struct conf *conf, const struct channel_conf *channel,
    const struct conf *before)
{
	const struct channel_conf *old = conf_channel(before, channel->name);

	if (old == NULL)
		return descriptors_of(channel);
	switch (conf_compare(before, old, conf, channel)) {
	case CHANGE_NONE:
		break;
	case CHANGE_STREAMS:
		return channel->decimates;
	case CHANGE_WORKER:
		return channel->decimates + worker_parts_of(channel);
	case CHANGE_SOCKET:
		return channel->decimates + worker_parts_of(channel) +
		    inputs_of(channel);
	}
	return 0;
}

/* Of ports that the channel shares: for its new sockets, or as it has come to
 * share them. */
static uint64_t
shares_beside(const struct conf *conf, const struct channel_conf *channel,
    const struct conf *before, uint64_t shares, const uint64_t *had)
{
	const struct channel_conf *old = conf_channel(before, channel->name);
	uint64_t kept;

	if (old == NULL ||
	    conf_compare(before, old, conf, channel) == CHANGE_SOCKET)
		return shares;
	kept = had[old - before->channel];
	return shares > kept ? shares - kept : 0;
}

uint64_t
needs_beside(const struct conf *conf, const struct conf *before)
{
	uint64_t *shares = fanout_count(conf), *had = fanout_count(before);
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < conf->channels; i++)
		sum += beside_of(conf, &conf->channel[i], before) +
		    shares_beside(conf, &conf->channel[i], before, shares[i],
		    had);
	free(shares);
	free(had);
	return sum;
}

static uint64_t
threads_of(const struct channel_conf *channel)
{
	return channel->archive.enabled ? 1 + ARCHIVE_THREADS : 1;
}

/* The segment, and the frames of an AF_XDP socket. */
static uint64_t
memory_of_channel(const struct conf *conf, const struct channel_conf *channel)
{
	const struct listen_config *listen = &channel->listen[0];
	struct segment_spec spec;

	segment_spec_fill(&spec, conf, channel);
	return segment_size(&spec) + (listen->xdp ? (uint64_t)
	    xdp_socket_frames(listen->receive_buffer) * XDP_FRAME_SIZE : 0);
}

/* As the kernel counts them: for each user, whatever the process is. */
static void
add_threads(struct needs *needs, const struct channel_conf *channel)
{
	if (channel->user.uid == 0 && geteuid() == 0)
		return;
	if (channel->own_user)
		needs->threads = MAX_OF(needs->threads, threads_of(channel));
	else
		needs->threads += threads_of(channel);
}

static uint64_t
shared_descriptors(const struct conf *conf, const struct worker_conf *worker)
{
	const struct channel_conf *channel;
	uint64_t sum = SHARED_DESCRIPTORS;
	size_t i;

	for (i = 0; i < conf->channels; i++) {
		channel = &conf->channel[i];
		if (strcmp(channel->worker, worker->name) != 0)
			continue;
		sum += CHANNEL_DESCRIPTORS + inputs_of(channel) +
		    worker_parts_of(channel) +
		    (channel->archive.enabled ? ARCHIVE_DESCRIPTORS : 0) +
		    (worker->own_threads ? LOOP_DESCRIPTORS : 0);
	}
	return sum;
}

void
needs_of(struct needs *needs, const struct conf *conf)
{
	uint64_t *shares = fanout_count(conf);
	size_t i;

	*needs = (struct needs){.descriptors = OWN_DESCRIPTORS +
	    2 * conf->decimators + (conf_has_web(conf) ? WEB_DESCRIPTORS : 0) +
	    (conf_forwarders(conf) + conf_has_leases(conf)) *
	    FORWARDER_DESCRIPTORS +
	    (conf->forward.live ? LIVE_DESCRIPTORS : 0)};
	for (i = 0; i < conf->channels; i++) {
		needs->memory += memory_of_channel(conf, &conf->channel[i]);
		if (conf->channel[i].ring_auto)
			needs->ring = MAX_OF(needs->ring,
			    conf->channel[i].ring_size);
		needs->descriptors += descriptors_of(&conf->channel[i]) +
		    shares[i];
		add_threads(needs, &conf->channel[i]);
	}
	for (i = 0; i < conf->workers; i++)
		needs->descriptors = MAX_OF(needs->descriptors,
		    shared_descriptors(conf, &conf->worker[i]));
	free(shares);
}

/*** Limits. ***/

/* UINT64_MAX when the kernel does not say. */
static uint64_t
memory_of(const char *key)
{
	FILE *file = fopen("/proc/meminfo", "re");
	uint64_t kib, found = UINT64_MAX;
	size_t length = strlen(key);
	char line[128];

	if (file == NULL)
		return UINT64_MAX;
	while (found == UINT64_MAX && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, key, length) == 0 &&
		    sscanf(line + length, ": %" SCNu64, &kib) == 1)
			found = kib * 1024;
	fclose(file);
	return found;
}

static uint64_t
hard_limit(int resource)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) == -1 ||
	    limit.rlim_max == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_max;
}

void
needs_limits(struct needs_limits *limits, enum needs_memory memory)
{
	limits->memory = memory_of(memory == NEEDS_MEMORY_TOTAL ?
	    "MemTotal" : "MemAvailable");
	limits->descriptors = hard_limit(RLIMIT_NOFILE);
	limits->threads = hard_limit(RLIMIT_NPROC);
	limits->locked = UINT64_MAX;
	/* No limit for the one, and the other removes it. */
	if (!capable(CAP_IPC_LOCK) && !capable(CAP_SYS_RESOURCE))
		limits->locked = hard_limit(RLIMIT_MEMLOCK);
}

/*** What is said. ***/

static uint64_t
mebibytes(uint64_t bytes)
{
	return bytes / (1 << 20) + (bytes % (1 << 20) != 0);
}

static void
limit_text(uint64_t limit, const char *unit, char *text, size_t size)
{
	if (limit == UINT64_MAX)
		snprintf(text, size, "limit: none");
	else
		snprintf(text, size, "limit: %" PRIu64 "%s", limit, unit);
}

void
needs_text(const struct needs *needs, const struct needs_limits *limits,
    char text[NEEDS_TEXT_SIZE])
{
	char locked[48], descriptors[48], rings[64] = "";

	limit_text(limits->locked == UINT64_MAX ? UINT64_MAX :
	    limits->locked >> 20, " MiB", locked, sizeof(locked));
	limit_text(limits->descriptors, "", descriptors,
	    sizeof(descriptors));
	if (needs->ring > 0)
		snprintf(rings, sizeof(rings), " with rings of %" PRIu64
		    " KiB", needs->ring >> 10);
	snprintf(text, NEEDS_TEXT_SIZE, "needs %" PRIu64 " MiB of memory%s, "
	    "which is locked (%s), and %" PRIu64 " descriptors (%s)",
	    mebibytes(needs->memory), rings, locked, needs->descriptors,
	    descriptors);
}

void
needs_check(const struct needs *needs, const struct needs_limits *limits,
    struct conf_problems *problems)
{
	uint64_t memory = mebibytes(needs->memory);

	if (needs->memory > limits->memory)
		report_warning(problems, "all channels together need %" PRIu64
		    " MiB of memory, but there are %" PRIu64 " MiB: give them "
		    "a smaller ring_size", memory, limits->memory >> 20);
	if (needs->memory > limits->locked)
		report_warning(problems, "%" PRIu64 " MiB of memory are to be "
		    "locked, but no more than %" PRIu64 " MiB may be, and the "
		    "rest may be swapped out: raise the limit (ulimit -l %"
		    PRIu64 ", or LimitMEMLOCK=%" PRIu64 "M in systemd)",
		    memory, limits->locked >> 20, memory * 1024, memory);
	if (needs->descriptors > limits->descriptors)
		report_warning(problems, "%" PRIu64 " descriptors are needed, "
		    "but no more than %" PRIu64 " may be open: raise the "
		    "limit (ulimit -n %" PRIu64 ", or LimitNOFILE=%" PRIu64
		    " in systemd)", needs->descriptors, limits->descriptors,
		    needs->descriptors, needs->descriptors);
	if (needs->threads > limits->threads)
		report_warning(problems, "all workers together need %" PRIu64
		    " threads, and a user may have no more than %" PRIu64
		    ": raise the limit (ulimit -u %" PRIu64 ", or LimitNPROC=%"
		    PRIu64 " in systemd), or give each channel a user of its "
		    "own", needs->threads, limits->threads, needs->threads,
		    needs->threads);
}

/* Both configurations are open at the same time. */
static void
check_change(const struct conf *conf, const struct conf *before,
    const struct needs *had, const struct needs_limits *limits,
    struct conf_problems *problems)
{
	uint64_t beside = needs_beside(conf, before);
	uint64_t sum = had->descriptors + beside;

	if (beside == 0 || sum <= limits->descriptors)
		return;
	report_warning(problems, "while it comes into force %" PRIu64
	    " descriptors are needed, %" PRIu64 " of them for what is new or "
	    "changed, but no more than %" PRIu64 " may be open: change fewer "
	    "channels at a time, or raise the limit (ulimit -n %" PRIu64
	    ", or LimitNOFILE=%" PRIu64 " in systemd) and restart mcrelayd",
	    sum, beside, limits->descriptors, sum, sum);
}

void
needs_report(const struct conf *conf, const struct conf *before,
    struct conf_problems *problems)
{
	struct needs needs, had = {0};
	struct needs_limits limits;
	char text[NEEDS_TEXT_SIZE];

	needs_of(&needs, conf);
	if (before != NULL)
		needs_of(&had, before);
	needs_limits(&limits, NEEDS_MEMORY_AVAILABLE);
	if (limits.memory <= UINT64_MAX - had.memory)
		limits.memory += had.memory;
	needs_text(&needs, &limits, text);
	log_info("the configuration %s", text);
	needs_check(&needs, &limits, problems);
	if (before != NULL)
		check_change(conf, before, &had, &limits, problems);
}
