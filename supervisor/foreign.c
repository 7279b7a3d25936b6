/* SPDX-License-Identifier: ISC */
/*
 * Segments of another layout.  Supervisor only.  Their programs are no more
 * trusted than the worker that wrote them: what they say can only make the
 * channel's own numbers wrong, and one that hangs is asked no more.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/inputs.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/account.h"
#include "supervisor/adopt.h"
#include "supervisor/fdstore.h"
#include "supervisor/foreign.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"

/*** The programs. ***/

static bool
is_used(const struct channel_list *channels, uint64_t layout)
{
	const struct channel *channel;

	TAILQ_FOREACH(channel, channels, link)
		if (channel->foreign.segment != -1 &&
		    channel->foreign.layout == layout)
			return true;
	return false;
}

void
foreign_settle(struct supervisor *supervisor)
{
	struct image *image;
	size_t i;

	for (i = 1; i < IMAGES_MAX; i++) {
		image = &supervisor->images.image[i];
		if (image->layout == 0 ||
		    is_used(&supervisor->channels, image->layout) ||
		    is_used(&supervisor->leaving, image->layout))
			continue;
		fdstore_remove_image(image);
		image_drop(image);
	}
}

void
foreign_drop(struct channel *channel)
{
	if (channel->foreign.segment == -1)
		return;
	close(channel->foreign.segment);
	memset(&channel->foreign, 0, sizeof(channel->foreign));
	channel->foreign.segment = -1;
	foreign_settle(channel->supervisor);
}

static json_t *
ask(const struct channel *channel, int segment)
{
	struct image *image = images_find(&channel->supervisor->images,
	    channel->foreign.layout);
	enum account_answer answer = ACCOUNT_LATE;
	json_t *account = NULL;

	if (image == NULL || image->fd[IMAGE_DAEMON] == -1)
		return NULL;
	/* A thousand channels, and it would hang as many times. */
	if (!image->hangs)
		answer = account_ask(image, &channel->foreign.user, segment,
		    &account);
	if (account == NULL)
		log_warnx("channel %s: %s: its numbers begin anew",
		    channel->name, account_answer_text(answer));
	image->hangs = answer == ACCOUNT_LATE;
	return account;
}

/*** Taking over. ***/

static bool
is_foreign(struct channel *channel, const struct inherited *from)
{
	struct foreign *foreign = &channel->foreign;

	foreign->layout = from->segment == -1 ? 0 :
	    segment_layout_of(from->segment);
	if (foreign->layout == 0 || foreign->layout == segment_layout())
		return false;
	/* Who was killed does not say; it is as the configuration says. */
	foreign->user = channel->supervisor->inheritance->upgrade ?
	    from->user : channel->user;
	return images_find(&channel->supervisor->images, foreign->layout) !=
	    NULL;
}

/* Unless nobody uses it any more. */
static void
hold(struct channel *channel, struct inherited *from)
{
	channel->foreign.page = from->holder != -1;
	if (channel->foreign.worker || channel->foreign.page)
		channel->foreign.segment = inheritance_take(&from->segment);
}

/* The new segment, with what the old one says so far. */
static bool
make_segment(struct channel *channel, const struct conf *conf,
    const json_t *account)
{
	account_slots(account, channel->slot, channel->slot_id);
	/* Bounded by what there is when the segment is made. */
	channel->paused |= account_paused(account);
	if (!channel_make_segment(channel, conf))
		return false;
	(void)account_apply(&channel->segment, account,
	    channel->foreign.was, !channel->foreign.worker);
	account_apply_page(&channel->segment, account);
	decimator_measure(channel);
	channel->decimator_rate = 0;
	return true;
}

bool
foreign_take(struct channel *channel, const struct conf *conf,
    struct inherited *from)
{
	const struct inheritance *inheritance =
	    channel->supervisor->inheritance;
	struct foreign *foreign = &channel->foreign;
	json_t *account;
	bool made;

	if (!is_foreign(channel, from) ||
	    (account = ask(channel, from->segment)) == NULL)
		return false;
	adopt_inputs(channel, from);
	foreign->outputs = account_outputs(account, &foreign->archive);
	foreign->inputs = account_inputs(account);
	/* What one that was stopped has left is given up. */
	foreign->worker = from->worker.pid != 0 || (account_left(account) &&
	    (from->worker.wanted || !inheritance->upgrade));
	foreign->mute = foreign->worker && !account_speaks(account);
	made = make_segment(channel, conf, account);
	json_decref(account);
	if (made)
		hold(channel, from);
	return made;
}

bool
foreign_take_leaving(struct channel *channel, struct inherited *from)
{
	json_t *account;

	if (!is_foreign(channel, from))
		return false;
	account = ask(channel, from->segment);
	channel->foreign.mute = !account_speaks(account);
	json_decref(account);
	channel->foreign.new_socket = channel->foreign.worker = true;
	channel->foreign.segment = inheritance_take(&from->segment);
	return true;
}

int
foreign_or_own(const struct channel *channel)
{
	if (channel->foreign.worker)
		return channel->foreign.segment;
	return channel->segment.base != NULL ? channel->segment.fd : -1;
}

/*** The end. ***/

void
foreign_forget_drops(struct channel *channel)
{
	const struct segment *segment = &channel->segment;
	struct ingest_state *state = inputs_begin(segment);
	uint32_t i;

	channel->foreign.new_socket = true;
	for (i = 0; i < segment->inputs; i++)
		inputs_of(segment, state)[i].drops_seen = 0;
	ingest_commit(&segment->state->ingest);
}

size_t
foreign_list_inputs(const struct channel *channel, int fds[static INPUTS_MAX])
{
	const struct foreign *foreign = &channel->foreign;
	const struct parts *parts = &channel->parts;
	size_t i;

	for (i = 0; i < foreign->inputs; i++)
		fds[i] = -1;
	for (i = 0; i < parts->inputs; i++)
		if (foreign->was[i] >= 0 &&
		    (size_t)foreign->was[i] < foreign->inputs)
			fds[foreign->was[i]] = parts->input[i].fd;
	return foreign->inputs;
}

/* Whether all that its worker had are there. */
static bool
has_inputs(const struct channel *channel)
{
	int fds[INPUTS_MAX];
	size_t i, count = foreign_list_inputs(channel, fds);

	for (i = 0; i < count; i++)
		if (fds[i] == -1)
			return false;
	return count > 0;
}

int
foreign_worker(const struct channel *channel)
{
	const struct foreign *foreign = &channel->foreign;
	const struct parts *parts = &channel->parts;
	const struct image *image = images_find(&channel->supervisor->images,
	    foreign->layout);

	if (image == NULL || foreign->new_socket || !has_inputs(channel) ||
	    parts->outputs != foreign->outputs ||
	    (parts->archive != -1) != foreign->archive)
		return -1;
	return image->fd[IMAGE_WORKER];
}

bool
foreign_drained(struct channel *channel)
{
	json_t *account = ask(channel, channel->foreign.segment);
	bool drained = account == NULL || account_drained(account);

	json_decref(account);
	return drained;
}

static void
settle(struct channel *channel)
{
	if (!channel->foreign.worker && !channel->foreign.page)
		foreign_drop(channel);
}

/* With what it said before, sequence numbers would come twice. */
static void
begin_anew(struct channel *channel)
{
	channel->foreign.page = false;
	segment_close(&channel->segment);
	channel->renew = true;
}

static void
take_final(struct channel *channel, const json_t *account)
{
	uint64_t lost = account_apply(&channel->segment, account,
	    channel->foreign.was, true);

	if (channel->foreign.new_socket)
		foreign_forget_drops(channel);
	if (!segment_lock(&channel->segment))
		channel_warn_unlocked(channel);
	tell_files_of(channel, json_object_get(account, "finished"));
	if (lost == 0)
		return;
	log_warnx("channel %s: its worker, of the old version, has not stored "
	    "%" PRIu64 " datagrams, which nobody else can: counted as "
	    "archive_shed", channel->name, lost);
	if (channel->supervisor->phase == PHASE_STOPPING)
		channel->supervisor->incomplete = true;
}

void
foreign_give_up(struct channel *channel)
{
	json_t *account = NULL;

	if (channel->segment.base != NULL) {
		account = ask(channel, channel->foreign.segment);
		if (account == NULL)
			begin_anew(channel);
		else
			take_final(channel, account);
	}
	json_decref(account);
	channel->foreign.worker = channel->foreign.mute = false;
	settle(channel);
	decimator_tell(channel);
}

bool
foreign_worker_ended(struct channel *channel)
{
	const struct child *child = &channel->child;

	if (child->drain_only || (!child->draining && child->wanted &&
	    foreign_worker(channel) != -1))
		return false;
	foreign_give_up(channel);
	return true;
}

void
foreign_decimator_ended(struct decimator *decimator)
{
	struct channel *channel;
	json_t *account;

	decimator->foreign = 0;
	TAILQ_FOREACH(channel, &decimator->supervisor->channels, link) {
		if (!channel->foreign.page ||
		    channel->decimator_holder != decimator)
			continue;
		account = ask(channel, channel->foreign.segment);
		if (account != NULL)
			account_apply_page(&channel->segment, account);
		else
			channel->decimator_anew = true;
		json_decref(account);
		channel->foreign.page = false;
		settle(channel);
	}
}
