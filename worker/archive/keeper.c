/* SPDX-License-Identifier: ISC */
/*
 * Keeps house in the channel's archive directory.  Worker, keeper thread.
 * Must not touch a file that the archive thread has in hand.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "common/util.h"
#include "worker/archive/keeper.h"
#include "worker/archive/recycle.h"
#include "worker/archive/retain.h"

/* How often the limits are looked at without being asked: files grow old,
 * and others fill the file system. */
#define RETAIN_S	10
/* When a file that could not be finished is tried again; then twice that, up to
 * RETAIN_S. */
#define RETRY_S		1
/* So many unfinished files are enough. */
#define UNFINISHED_MAX	4U

static bool
stopped(struct keeper *keeper)
{
	bool stop;

	pthread_mutex_lock(&keeper->mutex);
	stop = keeper->stop;
	pthread_mutex_unlock(&keeper->mutex);
	return stop;
}

static void
finished(struct keeper *keeper, const char *name,
    const struct recovered *recovered)
{
	enum archive_kind kind;

	if (recovered->torn == 0)
		log_info("finished %s, which was left over: %"
		    PRIu64 " records", name, recovered->records);
	else
		log_warnx("finished %s, which was left over: %"
		    PRIu64 " records; %" PRIu64 " bytes behind its last whole "
		    "block are cut off (kept as %s.torn unless they were "
		    "zeros)", name, recovered->records, recovered->torn, name);
	if (file_is(name, keeper->config->name, FILE_SUFFIX, &kind) &&
	    catalog_add_found(keeper->catalog, name, kind) == -1)
		log_warn("cannot add %s to " CATALOG_NAME, name);
}

static struct unfinished *
find_unfinished(const struct keeper *keeper, const char *name)
{
	struct unfinished *unfinished;

	STAILQ_FOREACH(unfinished, &keeper->unfinished, entry)
		if (strcmp(unfinished->name, name) == 0)
			return unfinished;
	return NULL;
}

/* Not where a sync has failed in this process: the kernel tells that once. */
static bool
believes_memory(struct keeper *keeper, const char *name)
{
	struct unfinished *unfinished;
	bool memory;

	pthread_mutex_lock(&keeper->mutex);
	unfinished = find_unfinished(keeper, name);
	memory = unfinished == NULL || unfinished->memory;
	pthread_mutex_unlock(&keeper->mutex);
	return memory;
}

static void
add_loss(struct keeper_loss *loss, const struct archive_file *file,
    uint64_t records)
{
	double part;

	if (records >= file->records)
		return;
	part = (double)(file->records - records) / (double)file->records;
	loss->datagrams += (uint64_t)(part * (double)file->datagrams + 0.5);
	loss->payload += (uint64_t)(part * (double)file->payload + 0.5);
}

/* The file holds so many records now: what else was committed is lost. */
static void
settle(struct keeper *keeper, const char *name, uint64_t records)
{
	struct unfinished *unfinished;

	pthread_mutex_lock(&keeper->mutex);
	unfinished = find_unfinished(keeper, name);
	if (unfinished != NULL) {
		add_loss(&keeper->loss[unfinished->kind], &unfinished->file,
		    records);
		STAILQ_REMOVE(&keeper->unfinished, unfinished, unfinished,
		    entry);
		keeper->unfinished_count--;
		free(unfinished);
	}
	pthread_mutex_unlock(&keeper->mutex);
	duty_post(keeper->client);
}

/* False: to be tried again. */
static bool
recover(struct keeper *keeper, const char *name)
{
	struct recovered recovered;
	uint64_t records = 0;

	switch (recover_file(keeper->directory, name,
	    believes_memory(keeper, name), &recovered)) {
	case RECOVERY_FINISHED:
		finished(keeper, name, &recovered);
		records = recovered.records;
		break;
	case RECOVERY_REMOVED:
		log_debug("removed %s.part, which had no records", name);
		break;
	case RECOVERY_BAD:
		log_warnx("%s.part, which was left over, has no whole block, "
		    "or there is a file of its name: kept as %s.bad", name,
		    name);
		break;
	case RECOVERY_FAILED:
		if (errno == ENOENT) {
			/* It has its name already, or has been removed. */
			if (faccessat(keeper->directory, name, F_OK, 0) == 0)
				records = UINT64_MAX;
			break;
		}
		keeper->error = errno;
		log_limited(&keeper->limit, "cannot finish %s.part: %s; it is "
		    "tried again", name, strerror(errno));
		return false;
	}
	settle(keeper, name, records);
	return true;
}

/* Whether this process has begun the file: names do not tell, for the clock may
 * have been set. */
static bool
begun_here(struct keeper *keeper, const char *name)
{
	bool here = false;
	unsigned i;

	pthread_mutex_lock(&keeper->mutex);
	for (i = 0; i < keeper->begun.count && !here; i++)
		here = strcmp(keeper->begun.name[i], name) == 0;
	pthread_mutex_unlock(&keeper->mutex);
	return here;
}

static bool
is_unfinished(struct keeper *keeper, const char *name)
{
	bool is;

	pthread_mutex_lock(&keeper->mutex);
	is = find_unfinished(keeper, name) != NULL;
	pthread_mutex_unlock(&keeper->mutex);
	return is;
}

/* With the mutex: it does by then, if nobody asks. */
static void
come_back(struct keeper *keeper, time_t seconds)
{
	keeper->look_at_ns = clock_monotonic_ns() +
	    (uint64_t)seconds * NS_PER_S;
}

static void
leave(struct keeper *keeper, const char *name)
{
	pthread_mutex_lock(&keeper->mutex);
	if (keeper->leftovers.count < LEFTOVERS_MAX)
		leftovers_add(&keeper->leftovers, name);
	come_back(keeper, MAX_OF((time_t)RETRY_S, keeper->retry_s));
	pthread_mutex_unlock(&keeper->mutex);
	duty_post(&keeper->duty);
}

/* Every left-over file once; at the end only those that we began. */
static void
recover_all(struct keeper *keeper)
{
	struct leftovers leftovers;
	unsigned i;

	pthread_mutex_lock(&keeper->mutex);
	leftovers = keeper->leftovers;
	memset(&keeper->leftovers, 0, sizeof(keeper->leftovers));
	pthread_mutex_unlock(&keeper->mutex);
	for (i = 0; i < leftovers.count; i++)
		if ((!stopped(keeper) ||
		    is_unfinished(keeper, leftovers.name[i])) &&
		    !recover(keeper, leftovers.name[i]))
			leave(keeper, leftovers.name[i]);
	leftovers_free(&leftovers);
}

/* The closer thread adds the lines of what this worker has in hand.  Nothing
 * is to be done any more when the worker ends. */
static bool
skip(void *argument, const char *name)
{
	struct keeper *keeper = argument;

	return stopped(keeper) || begun_here(keeper, name) ||
	    recover_named(&keeper->found, keeper->config->name, name);
}

/* What is wanted now: nothing, to look at the limits, or to end. */
enum wanted { WAIT, LOOK, END };

static enum wanted
wanted_now(struct keeper *keeper)
{
	enum wanted what;

	pthread_mutex_lock(&keeper->mutex);
	what = keeper->stop ? END : keeper->asked || !keeper->completed ||
	    clock_monotonic_ns() >= keeper->look_at_ns ? LOOK : WAIT;
	keeper->asked = false;
	pthread_mutex_unlock(&keeper->mutex);
	return what;
}

static void
look_at_limits(struct keeper *keeper)
{
	if (!retain_wanted(keeper->config)) {
		retain_look(keeper->directory, keeper->room);
		return;
	}
	retain_run(keeper->config, keeper->directory, clock_realtime_ns(),
	    keeper->room);
	/* The archive thread passes it on. */
	if (atomic_load_explicit(&keeper->room->wanted,
	    memory_order_relaxed) != 0)
		duty_post(keeper->client);
}

static void
begin(struct keeper *keeper)
{
	if (keeper->duty.crew == NULL)
		sandbox_thread(SANDBOX_WITH_FILES, -1);
	recycle_bound(keeper->directory, keeper->config->name,
	    (unsigned)keeper->config->archive.recycle);
	catalog_settle(keeper->catalog);
	recover_all(keeper);
	if (!stopped(keeper) && catalog_complete(keeper->catalog,
	    keeper->config->name, skip, keeper) == -1 && errno != ENOTDIR)
		log_warn("cannot complete " CATALOG_NAME " in %s",
		    keeper->config->archive.directory);
	pthread_mutex_lock(&keeper->mutex);
	keeper->completed = true;
	leftovers_free(&keeper->begun);
	pthread_mutex_unlock(&keeper->mutex);
}

static void
look(struct keeper *keeper)
{
	recover_all(keeper);
	look_at_limits(keeper);
	pthread_mutex_lock(&keeper->mutex);
	keeper->retry_s = keeper->leftovers.count == 0 ? RETRY_S :
	    MIN_OF(2 * keeper->retry_s, RETAIN_S);
	come_back(keeper, keeper->leftovers.count > 0 ? keeper->retry_s :
	    RETAIN_S);
	pthread_mutex_unlock(&keeper->mutex);
}

static uint64_t
next_look(struct keeper *keeper)
{
	uint64_t at_ns;

	pthread_mutex_lock(&keeper->mutex);
	at_ns = keeper->look_at_ns;
	pthread_mutex_unlock(&keeper->mutex);
	return at_ns;
}

static uint64_t
step(void *argument)
{
	struct keeper *keeper = argument;
	bool first = !keeper->completed;
	enum wanted what = wanted_now(keeper);

	if (first) {
		begin(keeper);
		look(keeper);
	} else if (what == LOOK)
		look(keeper);
	if (what != END)
		return next_look(keeper);
	recover_all(keeper);
	return DUTY_OVER;
}

void
keeper_start(struct keeper *keeper, const struct channel_config *config,
    int directory, struct catalog *catalog,
    const struct archive_state *state, struct room *room,
    struct duty *client, struct crew *crew)
{
	int error;

	memset(keeper, 0, sizeof(*keeper));
	pthread_mutex_init(&keeper->mutex, NULL);
	STAILQ_INIT(&keeper->unfinished);
	keeper->config = config;
	keeper->directory = directory;
	keeper->room = room;
	keeper->client = client;
	keeper->catalog = catalog;
	keeper->found = *state;
	/* ENOTDIR: there is none at present, as the supervisor has said. */
	if (leftovers_list(&keeper->leftovers, directory, config->name,
	    state) == -1 && errno != ENOTDIR)
		log_warn("cannot look for left-over files in %s",
		    config->archive.directory);
	error = duty_start(&keeper->duty, crew, step, keeper);
	if (error != 0)
		fatalx("cannot start the keeper thread: %s", strerror(error));
}

static void
set(struct keeper *keeper, bool *flag)
{
	pthread_mutex_lock(&keeper->mutex);
	*flag = true;
	pthread_mutex_unlock(&keeper->mutex);
	duty_post(&keeper->duty);
}

void
keeper_begun(struct keeper *keeper, const char *name)
{
	pthread_mutex_lock(&keeper->mutex);
	if (!keeper->completed)
		leftovers_add(&keeper->begun, name);
	pthread_mutex_unlock(&keeper->mutex);
}

void
keeper_leave(struct keeper *keeper, const char *name,
    enum archive_kind kind, const struct archive_file *file, bool memory)
{
	struct unfinished *unfinished = xcalloc(1, sizeof(*unfinished));

	snprintf(unfinished->name, sizeof(unfinished->name), "%s", name);
	unfinished->kind = kind;
	unfinished->file = *file;
	unfinished->memory = memory;
	pthread_mutex_lock(&keeper->mutex);
	STAILQ_INSERT_TAIL(&keeper->unfinished, unfinished, entry);
	keeper->unfinished_count++;
	pthread_mutex_unlock(&keeper->mutex);
	leave(keeper, name);
}

int
keeper_behind(struct keeper *keeper)
{
	int error = 0;

	pthread_mutex_lock(&keeper->mutex);
	if (keeper->unfinished_count >= UNFINISHED_MAX) {
		error = keeper->error != 0 ? keeper->error : EIO;
		keeper->asked = true;
	}
	pthread_mutex_unlock(&keeper->mutex);
	if (error != 0)
		duty_post(&keeper->duty);
	return error;
}

struct keeper_loss
keeper_collect(struct keeper *keeper, enum archive_kind kind)
{
	struct keeper_loss loss;

	pthread_mutex_lock(&keeper->mutex);
	loss = keeper->loss[kind];
	memset(&keeper->loss[kind], 0, sizeof(loss));
	pthread_mutex_unlock(&keeper->mutex);
	return loss;
}

void
keeper_ask(struct keeper *keeper)
{
	set(keeper, &keeper->asked);
}

void
keeper_stop(struct keeper *keeper)
{
	set(keeper, &keeper->stop);
	duty_join(&keeper->duty);
}

void
keeper_done(struct keeper *keeper)
{
	struct unfinished *unfinished;

	while ((unfinished = STAILQ_FIRST(&keeper->unfinished)) != NULL) {
		STAILQ_REMOVE_HEAD(&keeper->unfinished, entry);
		free(unfinished);
	}
	leftovers_free(&keeper->leftovers);
	pthread_mutex_destroy(&keeper->mutex);
}
