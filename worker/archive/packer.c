/* SPDX-License-Identifier: ISC */
/*
 * Compresses blocks.  Worker, packer thread.  Must not look into the ring:
 * what it works on is a copy.
 */
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "worker/archive/archive.h"
#include "worker/archive/packer.h"
#include "worker/archive/quarantine.h"
#include "worker/whose.h"

static void
pack_all(struct packer *packer)
{
	unsigned i;

	for (i = 0; i < ARCHIVE_KINDS; i++)
		if (packer->block[i]->records > 0)
			block_pack(packer->block[i], packer->codec);
}

static bool
has_thread(const struct packer *packer)
{
	return packer->archive->duty.crew == NULL;
}

static void *
run(void *argument)
{
	struct packer *packer = argument;

	quarantine_thread(packer->archive);
	sandbox_thread(SANDBOX_WITH_NEITHER, -1);
	pthread_mutex_lock(&packer->mutex);
	while (packer->busy || !packer->stop) {
		if (!packer->busy) {
			pthread_cond_wait(&packer->changed, &packer->mutex);
			continue;
		}
		pthread_mutex_unlock(&packer->mutex);
		pack_all(packer);
		pthread_mutex_lock(&packer->mutex);
		packer->busy = false;
		pthread_cond_broadcast(&packer->changed);
		/* Only now: the archive thread that wakes up finds `busy'
		 * cleared. */
		duty_post(&packer->archive->duty);
	}
	pthread_mutex_unlock(&packer->mutex);
	return NULL;
}

void
packer_start(struct packer *packer, enum archive_codec codec,
    struct archive *archive)
{
	int error;

	memset(packer, 0, sizeof(*packer));
	packer->codec = codec_new(codec);
	packer->archive = archive;
	pthread_mutex_init(&packer->mutex, NULL);
	pthread_cond_init(&packer->changed, NULL);
	if (!has_thread(packer))
		return;
	error = whose_thread(&packer->thread, run, packer);
	if (error != 0)
		fatalx("cannot start the packer thread: %s", strerror(error));
}

void
packer_stop(struct packer *packer)
{
	pthread_mutex_lock(&packer->mutex);
	packer->stop = true;
	pthread_cond_broadcast(&packer->changed);
	pthread_mutex_unlock(&packer->mutex);
	if (has_thread(packer))
		pthread_join(packer->thread, NULL);
	pthread_cond_destroy(&packer->changed);
	pthread_mutex_destroy(&packer->mutex);
	codec_free(packer->codec);
}

void
packer_submit(struct packer *packer, struct block **block)
{
	pthread_mutex_lock(&packer->mutex);
	assert(!packer->busy);
	packer->block = block;
	packer->busy = has_thread(packer);
	pthread_cond_broadcast(&packer->changed);
	pthread_mutex_unlock(&packer->mutex);
	if (has_thread(packer))
		return;
	pack_all(packer);
	duty_post(&packer->archive->duty);
}

bool
packer_busy(struct packer *packer)
{
	bool busy;

	pthread_mutex_lock(&packer->mutex);
	busy = packer->busy;
	pthread_mutex_unlock(&packer->mutex);
	return busy;
}

void
packer_wait(struct packer *packer)
{
	pthread_mutex_lock(&packer->mutex);
	while (packer->busy)
		pthread_cond_wait(&packer->changed, &packer->mutex);
	pthread_mutex_unlock(&packer->mutex);
}
