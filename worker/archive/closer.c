/* SPDX-License-Identifier: ISC */
/*
 * Syncs and finishes files off the archive's write path.  Worker, closer
 * thread.  Must not touch the segment: only the archive thread commits.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "worker/archive/closer.h"
#include "worker/archive/file.h"
#include "worker/archive/recover.h"
#include "worker/archive/synced.h"

/* Syncs before finishes: a finish closes the descriptor. */
static struct closer_job *
next_job(struct closer *closer, enum closer_task *task)
{
	unsigned i, k;

	for (k = 0; k < CLOSER_TASKS; k++) {
		for (i = 0; i < ARCHIVE_KINDS; i++) {
			if (!closer->job[i][k].wanted)
				continue;
			*task = k;
			return &closer->job[i][k];
		}
	}
	return NULL;
}

/* A file without a line is whole all the same: the next start adds it. */
static void
catalogue(const struct closer *closer, const struct closer_job *job)
{
	int result = job->fd == -1 ?
	    catalog_add_once(closer->catalog, job->name, job->line) :
	    catalog_add(closer->catalog, job->line);

	if (result == -1)
		log_warn("cannot add %s to " CATALOG_NAME "; the next start "
		    "of the channel does, without the losses", job->name);
}

/* The file says so as soon as it is, if it does.  That is a sync of the file as
 * well: if it fails, who knows of what. */
static int
note_synced(struct closer *closer, const struct closer_job *job)
{
	bool unsynced = false;
	int result;

	if (job->synced_place == 0)
		return 0;
	result = synced_note(closer->directory, job->name,
	    job->synced_place, job->size, &unsynced);
	if (unsynced)
		closer->sync_failed[job->kind] = true;
	return result;
}

/* One that fails says so once. */
static int
sync_data(struct closer *closer, const struct closer_job *job)
{
	int result = job->synced == CLOSER_NOT_SYNCED ? file_sync(job->fd) :
	    file_synced(job->fd, job->synced);

	if (result == 0)
		return 0;
	closer->sync_failed[job->kind] = true;
	return -1;
}

/* Without a name the data are on the disk all the same. */
static int
sync_file(struct closer *closer, const struct closer_job *job)
{
	if ((job->fresh && fsync(closer->directory) == -1) ||
	    sync_data(closer, job) == -1)
		return -1;
	return note_synced(closer, job);
}

static int
finish(struct closer *closer, const struct closer_job *job)
{
	bool notes = job->synced_place != 0;
	/* In such a file what was lost cannot be seen: it is whole unless
	 * a sync of its own has failed. */
	bool doubtful = job->doubted ||
	    (notes ? closer->sync_failed[job->kind] : closer->doubtful);

	if (doubtful && (ftruncate(job->fd, (off_t)job->size) == -1 ||
	    sync_data(closer, job) == -1))
		return file_close(job->fd, -1);
	if (doubtful && !recover_whole(job->fd, job->size)) {
		errno = job->doubted ? ENODATA : EIO;
		return file_close(job->fd, -1);
	}
	if (notes &&
	    (sync_data(closer, job) == -1 || note_synced(closer, job) == -1))
		return file_close(job->fd, -1);
	return file_finish(closer->directory, job->name, job->fd, job->size);
}

/* 0, or an errno. */
static int
perform(struct closer *closer, struct closer_job *job,
    enum closer_task task)
{
	int error = 0;

	if (task == CLOSER_SYNC) {
		error = sync_file(closer, job) == -1 ? errno : 0;
	} else if (job->fd != -1 && finish(closer, job) == -1)
		error = errno;
	else
		catalogue(closer, job);
	if (task == CLOSER_FINISH) {
		job->lossy = closer->sync_failed[job->kind];
		closer->sync_failed[job->kind] = false;
	}
	if (error == EIO || error == ENOSPC || error == EDQUOT)
		closer->doubtful = true;
	return error;
}

/* Called with the mutex held, which it releases while it works. */
static void
do_job(struct closer *closer, struct closer_job *job, enum closer_task task)
{
	int error;

	job->wanted = false;
	job->running = true;
	pthread_mutex_unlock(&closer->mutex);
	error = perform(closer, job, task);
	pthread_mutex_lock(&closer->mutex);
	job->running = false;
	job->done = true;
	job->error = error;
	pthread_cond_broadcast(&closer->changed);
	duty_post(closer->client);
}

/* All jobs that there are, unless somebody is at them; with the mutex held. */
static void
do_all(struct closer *closer)
{
	struct closer_job *job;
	enum closer_task task;

	if (closer->working)
		return;
	closer->working = true;
	while ((job = next_job(closer, &task)) != NULL)
		do_job(closer, job, task);
	closer->working = false;
}

static uint64_t
step(void *argument)
{
	struct closer *closer = argument;
	bool over;

	if (!closer->begun && closer->duty.crew == NULL)
		sandbox_thread(SANDBOX_WITH_FILES, -1);
	closer->begun = true;
	pthread_mutex_lock(&closer->mutex);
	do_all(closer);
	over = closer->stop && !closer->working;
	pthread_mutex_unlock(&closer->mutex);
	return over ? DUTY_OVER : DUTY_POSTED;
}

void
closer_start(struct closer *closer, int directory, struct catalog *catalog,
    struct duty *client, struct crew *crew)
{
	int error;

	memset(closer, 0, sizeof(*closer));
	closer->directory = directory;
	closer->catalog = catalog;
	closer->client = client;
	pthread_mutex_init(&closer->mutex, NULL);
	pthread_cond_init(&closer->changed, NULL);
	error = duty_start(&closer->duty, crew, step, closer);
	if (error != 0)
		fatalx("cannot start the closer thread: %s", strerror(error));
}

void
closer_stop(struct closer *closer)
{
	pthread_mutex_lock(&closer->mutex);
	closer->stop = true;
	pthread_mutex_unlock(&closer->mutex);
	duty_post(&closer->duty);
	duty_join(&closer->duty);
	pthread_cond_destroy(&closer->changed);
	pthread_mutex_destroy(&closer->mutex);
}

static bool
busy(const struct closer_job *job)
{
	return job->wanted || job->running;
}

static void
submit(struct closer *closer, struct closer_job *job,
    const struct closer_file *file, const char *line)
{
	job->wanted = true;
	job->fd = file->fd;
	job->size = file->size;
	job->synced_place = file->synced_place;
	job->synced = file->synced;
	snprintf(job->name, sizeof(job->name), "%s", file->name);
	snprintf(job->line, sizeof(job->line), "%s", line);
	duty_post(&closer->duty);
}

bool
closer_sync(struct closer *closer, enum archive_kind kind,
    const struct closer_file *file, bool fresh)
{
	struct closer_job *job = &closer->job[kind][CLOSER_SYNC];
	bool free;

	pthread_mutex_lock(&closer->mutex);
	free = !busy(job);
	if (free) {
		job->kind = kind;
		job->fresh = fresh;
		submit(closer, job, file, "");
	}
	pthread_mutex_unlock(&closer->mutex);
	return free;
}

void
closer_finish(struct closer *closer, enum archive_kind kind,
    const struct closer_file *file, const char *line, bool doubted)
{
	struct closer_job *job = &closer->job[kind][CLOSER_FINISH];

	pthread_mutex_lock(&closer->mutex);
	assert(!busy(job) && !job->done);
	job->kind = kind;
	job->doubted = doubted;
	submit(closer, job, file, line);
	pthread_mutex_unlock(&closer->mutex);
}

bool
closer_collect(struct closer *closer, enum archive_kind kind,
    enum closer_task task, int *error)
{
	struct closer_job *job = &closer->job[kind][task];
	bool done;

	pthread_mutex_lock(&closer->mutex);
	done = job->done;
	job->done = false;
	*error = job->error;
	pthread_mutex_unlock(&closer->mutex);
	return done;
}

bool
closer_was_lossy(struct closer *closer, enum archive_kind kind)
{
	bool lossy;

	pthread_mutex_lock(&closer->mutex);
	lossy = closer->job[kind][CLOSER_FINISH].lossy;
	pthread_mutex_unlock(&closer->mutex);
	return lossy;
}

void
closer_wait(struct closer *closer, enum archive_kind kind,
    enum closer_task task)
{
	pthread_mutex_lock(&closer->mutex);
	while (busy(&closer->job[kind][task])) {
		/* All of its crew may be waiting like this. */
		if (closer->duty.crew != NULL && !closer->working)
			do_all(closer);
		else
			pthread_cond_wait(&closer->changed, &closer->mutex);
	}
	pthread_mutex_unlock(&closer->mutex);
}
