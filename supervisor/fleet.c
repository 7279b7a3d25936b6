/* SPDX-License-Identifier: ISC */
/*
 * Channels at which hosts take turns.  See fleet.h.  Supervisor only.  Believes
 * nothing of what is in the page but for one lease.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/growing.h"
#include "common/log.h"
#include "common/util.h"
#include "supervisor/channel.h"
#include "supervisor/fleet_priv.h"
#include "supervisor/json_text.h"
#include "supervisor/memory_file.h"
#include "supervisor/runnable.h"
#include "supervisor/supervisor.h"
#include "supervisor/tell.h"

#define FLEET_PROGRAM	"mcrelay-forwarder"
#define ROUND_S		0.05
/* While a channel is handed over. */
#define TURNS_S		0.005
/* Of a channel that may not speak at all; 0 is without a limit. */
#define NEVER_NS	1U

/*** What workers know. ***/

/* What came before the turn came is known by its stamps, unless it is handed
 * over. */
static void
note_since(struct turn *turn, uint64_t until_ns, bool ordered)
{
	uint64_t now = clock_boottime_ns();
	uint64_t before = fleet_load(&turn->speak_until_ns);

	if (ordered || until_ns == 0)
		fleet_store(&turn->since_ns, 0);
	else if (before != 0 && before <= now && until_ns > now) {
		fleet_store(&turn->since_realtime_ns, clock_realtime_ns());
		fleet_store(&turn->since_ns, now);
	}
}

static void
apply(struct channel *channel, bool ordered)
{
	struct turn *turn;
	uint64_t until_ns;

	/* One that leaves, whose configuration is gone, keeps what it has. */
	if (channel->segment.base == NULL || channel->conf == NULL)
		return;
	turn = &channel->segment.state->turn;
	until_ns = !channel->conf->leased ? 0 :
	    MAX_OF(channel->speak_until_ns, NEVER_NS);
	atomic_store_explicit(&turn->asleep, channel->asleep,
	    memory_order_relaxed);
	note_since(turn, until_ns, ordered);
	/* Partner: turn_before_ns(). */
	atomic_store_explicit(&turn->speak_until_ns, until_ns,
	    memory_order_release);
}

void
fleet_apply(struct channel *channel)
{
	apply(channel, false);
}

void
fleet_adopt(struct channel *channel)
{
	struct turn *turn = &channel->segment.state->turn;

	channel->speak_until_ns = fleet_load(&turn->speak_until_ns);
	channel->asleep = atomic_load_explicit(&turn->asleep,
	    memory_order_relaxed) != 0;
	channel->speaks = channel->speak_until_ns > clock_boottime_ns();
	fleet_apply(channel);
}

bool
fleet_is_standby(const struct channel *channel)
{
	return channel->conf->leased &&
	    channel->speak_until_ns <= clock_boottime_ns();
}

static bool
is_fit(const struct channel *channel)
{
	if (channel->asleep)
		return clock_boottime_ns() >= channel->unfit_until_ns;
	return channel->child.state == CHILD_RUNNING &&
	    channel->parts.inputs > 0;
}

/* Else it may be between two workers: then what was said holds for a while. */
static bool
is_given_up(const struct channel *channel)
{
	const struct supervisor *supervisor = channel->supervisor;

	return supervisor->phase == PHASE_STOPPING ||
	    (!channel->child.wanted && !channel->asleep) ||
	    (supervisor->fleet.drained && fleet_is_standby(channel));
}

static void
say_what_is_wanted(const struct channel *channel, uint64_t now)
{
	const struct supervisor *supervisor = channel->supervisor;

	fleet_store(&channel->lease->drain, supervisor->fleet.drained);
	if (is_given_up(channel))
		fleet_store(&channel->lease->wanted_ns, 0);
	else if (is_fit(channel))
		fleet_store(&channel->lease->wanted_ns, now +
		    supervisor->conf->lease_ns / 2);
}

static void
note_turn(struct channel *channel)
{
	bool speaks = !fleet_is_standby(channel);
	bool lost = !speaks && channel->speak_until_ns != 0;

	if (speaks == channel->speaks)
		return;
	channel->speaks = speaks;
	if (lost && channel->lease != NULL)
		fleet_store(&channel->lease->lost,
		    fleet_load(&channel->lease->lost) + 1);
	if (speaks)
		log_info("channel %s: this host relays it now", channel->name);
	else
		log_warnx("channel %s: this host relays it no more, and stands "
		    "by%s", channel->name, lost ? ": its lease was not "
		    "renewed in time" : "");
	tell_turn(channel, speaks, lost);
	supervisor_notice(channel->supervisor);
}

/* True: it is handed over just now. */
static bool
look_at(struct fleet *fleet, struct channel *channel)
{
	const uint64_t lease_ns = fleet->supervisor->conf->lease_ns;
	struct lease_slot *slot = channel->lease;
	uint64_t now = clock_boottime_ns(), order = 0;
	bool busy = false;

	if (slot != NULL) {
		/* Partner: order() of forwarder/lease_turns.c; before the
		 * time, which is as late at least. */
		order = atomic_load_explicit(&slot->order,
		    memory_order_acquire);
		/* Partner: lease_fall_silent() of forwarder/lease.c. */
		channel->speak_until_ns = MIN_OF(atomic_load_explicit(
		    &slot->until_ns, memory_order_seq_cst), now + lease_ns);
		say_what_is_wanted(channel, now);
	}
	/* Before the order: one that ends leaves no time from before. */
	apply(channel, order != 0);
	/* What another supervisor has passed on is in force for its time. */
	if (slot != NULL)
		busy = fleet_mirror(channel, order, now + lease_ns);
	fleet_wake(channel, order != 0);
	note_turn(channel);
	return busy;
}

static void
on_round(struct ev_loop *loop, ev_timer *timer, int events ATTR_UNUSED)
{
	struct fleet *fleet = timer->data;
	struct channel *channel;
	bool busy = false;

	TAILQ_FOREACH(channel, &fleet->supervisor->channels, link)
		if (channel->conf->leased)
			busy |= look_at(fleet, channel);
	/* Partner: the same. */
	if (fleet->page != NULL)
		atomic_fetch_add_explicit(&fleet->page->rounds, 1,
		    memory_order_seq_cst);
	if (busy != fleet->busy) {
		fleet->busy = busy;
		timer->repeat = busy ? TURNS_S : ROUND_S;
		ev_timer_again(loop, timer);
	}
}

/*** What the process is told. ***/

/* Names this daemon, wherever it is started anew until the machine is; without
 * blanks.  To be freed. */
static char *
compose_instance(const struct supervisor *supervisor)
{
	char boot[64] = "";
	struct stat st = {0};
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (f != NULL) {
		if (fscanf(f, "%63s", boot) != 1)
			boot[0] = '\0';
		(void)fclose(f);
	}
	(void)stat(supervisor->conf->run_dir, &st);
	return xasprintf("%s-%llx-%llx", boot, (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
}

static void
put_channel(struct growing *out, const struct channel_conf *conf,
    const char *host)
{
	unsigned i, rank = 0;

	json_text_open(out, NULL, '{');
	json_text_string(out, "name", conf->name);
	json_text_open(out, "hosts", '[');
	for (i = 0; i < conf->hosts; i++) {
		json_text_string(out, NULL, conf->host[i]);
		if (strcmp(conf->host[i], host) == 0)
			rank = i;
	}
	json_text_close(out, ']');
	json_text_number(out, "rank", rank);
	json_text_number(out, "streams", conf->decimates);
	json_text_close(out, '}');
}

/* To be freed; "": it has nothing to do. */
static char *
compose(const struct fleet *fleet)
{
	const struct supervisor *supervisor = fleet->supervisor;
	const struct conf *conf = supervisor->conf;
	struct growing out = {.text = NULL};
	struct channel *channel;
	unsigned count = 0;
	char *instance;

	if (!conf_has_leases(conf) || supervisor->phase == PHASE_STOPPING)
		return xstrdup("");
	instance = compose_instance(supervisor);
	json_text_open(&out, NULL, '{');
	forwarder_put_servers(&out, &conf->forward, conf->host);
	json_text_number(&out, "user", conf->decimator_user.uid);
	json_text_number(&out, "lease_ns", conf->lease_ns);
	json_text_string(&out, "bucket", conf->fleet_bucket);
	json_text_string(&out, "instance", instance);
	json_text_open(&out, "leases", '[');
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (channel->conf->leased && count++ < LEASES_MAX)
			put_channel(&out, channel->conf, conf->host);
	json_text_close(&out, ']');
	json_text_close(&out, '}');
	growing_put(&out, "", 1);
	free(instance);
	return out.text;
}

/* There is no process: each channel has its place, and keeps what it may. */
static void
give_places(struct fleet *fleet)
{
	struct channel *channel;
	unsigned count = 0;

	fleet_page_take(fleet);
	TAILQ_FOREACH(channel, &fleet->supervisor->channels, link) {
		channel->lease = NULL;
		if (!channel->conf->leased || count >= LEASES_MAX)
			continue;
		channel->lease = &fleet->page->slot[count++];
		fleet_store(&channel->lease->until_ns, channel->speak_until_ns);
		fleet_store(&channel->lease->holder, LEASE_NOBODY);
		fleet_resume(channel);
		/* Or the process, which may look before the next round, would
		 * give away what it finds to be ours. */
		if (!is_given_up(channel))
			fleet_store(&channel->lease->wanted_ns,
			    clock_boottime_ns() +
			    fleet->supervisor->conf->lease_ns / 2);
	}
	memory_file_take_back(fleet->spec);
	fleet->spec = memory_file("mcrelay-lease", fleet->wanted,
	    strlen(fleet->wanted));
	free(fleet->told);
	fleet->told = xstrdup(fleet->wanted);
}

/*** Its process. ***/

static pid_t
fleet_spawn(void *owner, int messages, int stderr_fd)
{
	struct fleet *fleet = owner;
	struct supervisor *supervisor = fleet->supervisor;
	const struct privdrop *user = &supervisor->conf->decimator_user;
	int fds[LEASE_PAGE_FD - MESSAGE_FD + 1];

	if (!runnable_child(supervisor, &fleet->child, FLEET_PROGRAM, user))
		return -1;
	if (fleet->page == NULL)
		fleet->page = memory_file_shared("mcrelay-lease",
		    sizeof(*fleet->page), &fleet->page_fd);
	if (fleet->page == NULL) {
		log_warn("%s: no memory to be shared", fleet->child.label);
		return -1;
	}
	free(fleet->wanted);
	fleet->wanted = compose(fleet);
	give_places(fleet);
	if (fleet->spec == -1) {
		log_warn("%s: cannot tell it anything", fleet->child.label);
		return -1;
	}
	fds[0] = messages;
	fds[LEASE_SPEC_FD - MESSAGE_FD] = fleet->spec;
	fds[LEASE_PAGE_FD - MESSAGE_FD] = fleet->page_fd;
	return spawn_program(&supervisor->spawn, FLEET_PROGRAM, NULL, user,
	    stderr_fd, fds, LEASE_PAGE_FD - MESSAGE_FD + 1);
}

static void
fleet_ended(void *owner)
{
	struct fleet *fleet = owner;

	memory_file_take_back(fleet->spec);
	fleet->spec = -1;
	fleet->look = false;
}

static void
fleet_changed(void *owner)
{
	struct fleet *fleet = owner;

	supervisor_notice(fleet->supervisor);
}

static enum child_said
fleet_message(void *owner, const struct message *message)
{
	return watch_answer(message, &((struct fleet *)owner)->look);
}

static const struct child_ops fleet_ops = {
	.spawn		= fleet_spawn,
	.ended		= fleet_ended,
	.changed	= fleet_changed,
	.message	= fleet_message,
};

/*** What others call. ***/

void
fleet_init(struct fleet *fleet, struct supervisor *supervisor)
{
	fleet->supervisor = supervisor;
	fleet->spec = fleet->page_fd = -1;
	fleet->told = xstrdup("");
	fleet->wanted = xstrdup("");
	child_init(&fleet->child, supervisor->loop, &fleet_ops, fleet, "fleet",
	    FLEET_PROGRAM);
	ev_timer_init(&fleet->round, on_round, ROUND_S, ROUND_S);
	fleet->round.data = fleet;
}

void
fleet_done(struct fleet *fleet)
{
	ev_timer_stop(fleet->supervisor->loop, &fleet->round);
	memory_file_take_back(fleet->spec);
	if (fleet->page != NULL) {
		(void)munmap(fleet->page, sizeof(*fleet->page));
		close(fleet->page_fd);
	}
	free(fleet->told);
	free(fleet->wanted);
	child_done(&fleet->child);
}

/* The configuration may have others now. */
static void
follow_configuration(struct fleet *fleet)
{
	struct supervisor *supervisor = fleet->supervisor;
	struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		if (!channel->conf->leased) {
			channel->lease = NULL;
			channel->lease_seen_ns = channel->speak_until_ns = 0;
			channel->speaks = false;
			fleet_apply(channel);
			(void)fleet_mirror(channel, 0, 0);
			fleet_wake(channel, true);
		} else if (channel->lease_seen_ns == 0)
			channel->lease_seen_ns = clock_boottime_ns();
	if (conf_has_leases(supervisor->conf))
		ev_timer_start(supervisor->loop, &fleet->round);
	else
		ev_timer_stop(supervisor->loop, &fleet->round);
}

void
fleet_second(struct fleet *fleet)
{
	struct child *child = &fleet->child;

	follow_configuration(fleet);
	free(fleet->wanted);
	fleet->wanted = compose(fleet);
	if (*fleet->wanted == '\0') {
		child_stop(child);
		return;
	}
	watch_check_asked(&fleet->watch, child, &fleet->look);
	/* Who waits for it may be told that there is nobody else. */
	if (fleet->drained)
		supervisor_notice(fleet->supervisor);
	if (child->state == CHILD_STOPPED || child->state == CHILD_FAILED)
		child_start(child);
	else if (child->pid != 0 && child->state != CHILD_STOPPING &&
	    strcmp(fleet->wanted, fleet->told) != 0)
		child_restart(child, false);
}

bool
fleet_stop(struct fleet *fleet)
{
	if (fleet->child.wanted)
		child_stop(&fleet->child);
	if (fleet->child.stuck)
		child_abandon(&fleet->child);
	return fleet->child.pid == 0;
}
