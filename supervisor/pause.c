/* SPDX-License-Identifier: ISC */
/*
 * Recording or relaying that is paused.  See pause.h.  Supervisor only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/pause.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"

#define PAUSES		(RING_NO_ARCHIVE | RING_NO_RELAY)
#define TEXT_SIZE	32

static const struct {
	const char	*word;
	uint32_t	 part;
} words[] = {
	{"archive",	RING_NO_ARCHIVE},
	{"relay",	RING_NO_RELAY},
};

/* What there is to be paused. */
static uint32_t
parts_of(const struct channel *channel)
{
	return (channel->conf->archive.enabled ? RING_NO_ARCHIVE : 0U) |
	    (channel->conf->relays > 0 ? RING_NO_RELAY : 0U);
}

static uint32_t
find_part(const char *word)
{
	size_t i;

	for (i = 0; i < NITEMS(words); i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].part;
	return 0;
}

void
pause_load(struct channel *channel)
{
	char text[TEXT_SIZE] = "", *rest = text, *word;

	rundir_read_pause(&channel->supervisor->rundir, channel->name, text,
	    sizeof(text));
	while ((word = strsep(&rest, " \n")) != NULL)
		channel->paused_lasting |= find_part(word);
	channel->paused = channel->paused_lasting;
	if (channel->paused != 0)
		log_info("channel %s: paused, as it was before: mcrelayctl "
		    "resume %s", channel->name, channel->name);
}

void
pause_apply(struct channel *channel)
{
	channel->paused &= parts_of(channel);
	if (channel->segment.base != NULL)
		atomic_store_explicit(&channel->segment.state->paused,
		    channel->paused, memory_order_relaxed);
}

void
pause_adopt(struct channel *channel)
{
	channel->paused = PAUSES & atomic_load_explicit(
	    &channel->segment.state->paused, memory_order_relaxed);
}

void
pause_forget(const struct channel *channel)
{
	if (channel->paused_lasting != 0 && rundir_write_pause(
	    &channel->supervisor->rundir, channel->name, "") == -1)
		log_warn("cannot remove %s.paused from run_dir",
		    channel->name);
}

static int
keep(const struct channel *channel, uint32_t lasting)
{
	char text[TEXT_SIZE];

	if (lasting == channel->paused_lasting)
		return 0;
	snprintf(text, sizeof(text), "%s%s",
	    (lasting & RING_NO_ARCHIVE) != 0 ? "archive\n" : "",
	    (lasting & RING_NO_RELAY) != 0 ? "relay\n" : "");
	return rundir_write_pause(&channel->supervisor->rundir, channel->name,
	    text);
}

int
pause_set(struct channel *channel, const char *part, bool on, bool lasting,
    char error[static PAUSE_ERROR_SIZE])
{
	uint32_t has = parts_of(channel), which = has, kept;

	if (part != NULL && (which = find_part(part)) == 0) {
		snprintf(error, PAUSE_ERROR_SIZE, "%.64s is neither archive "
		    "nor relay", part);
		return -1;
	}
	if ((which & has) == 0) {
		snprintf(error, PAUSE_ERROR_SIZE, "channel %s has no %s",
		    channel->name, part != NULL ? part :
		    "archive and no relay");
		return -1;
	}
	kept = on ? channel->paused_lasting | (lasting ? which : 0U) :
	    channel->paused_lasting & ~which;
	if (keep(channel, kept) == -1) {
		snprintf(error, PAUSE_ERROR_SIZE, "cannot write to run_dir "
		    "what is to be paused: %s", strerror(errno));
		return -1;
	}
	channel->paused_lasting = kept;
	channel->paused = on ? channel->paused | which :
	    channel->paused & ~which;
	pause_apply(channel);
	kernel_path_leave(channel);
	log_info("channel %s: %s asked for: %s", channel->name,
	    on ? "pause" : "resume", part != NULL ? part : "all");
	tell_state(channel);
	return 0;
}
