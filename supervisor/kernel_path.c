/* SPDX-License-Identifier: ISC */
/*
 * Outputs with `path: kernel'.  See kernel_path.h.  Supervisor only.
 */
#include <sys/socket.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/udp.h"
#include "common/util.h"
#include "supervisor/channels.h"
#include "supervisor/kernel_path.h"
#include "supervisor/kernel_route.h"
#include "supervisor/supervisor.h"

/*** What is wanted. ***/

bool
kernel_path_wanted(const struct channel_conf *conf, bool only)
{
	size_t i;

	for (i = 0; i < conf->relays; i++)
		if (only ? conf->relay[i].kernel_only : conf->relay[i].kernel)
			return true;
	return false;
}

static bool
sends_to_hosts(const struct conf *conf)
{
	const struct channel_conf *channel = conf->channel;
	size_t i;

	for (; channel < conf->channel + conf->channels; channel++)
		for (i = 0; i < channel->relays; i++)
			if (channel->relay[i].kernel &&
			    !udp_is_group(&channel->relay[i].address))
				return true;
	return false;
}

static bool
any_wanted(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->channels; i++)
		if (kernel_path_wanted(&conf->channel[i], false))
			return true;
	return false;
}

static void
add_channel(struct channel *channel, struct kernel_entry *list, size_t *count)
{
	size_t i, inputs = kernel_route_inputs(channel);
	struct kernel_outputs *outputs = &channel->kernel_outputs;
	struct kernel_entry *entry;

	*outputs = (struct kernel_outputs){
	    .there = inputs > 0 ? UINT32_MAX : 0};

	for (i = 0; i < inputs; i++) {
		entry = &list[*count];
		if (kernel_route(channel, i, entry)) {
			entry->channel = channel;
			++*count;
		}
		outputs->there &= entry->outputs.there;
		outputs->unrouted |= entry->outputs.unrouted;
		outputs->unheard |= entry->outputs.unheard;
	}
	memset(&channel->kernel_failure, 0, sizeof(channel->kernel_failure));
}

static int
compare(const void *one, const void *two)
{
	const struct kernel_entry *first = one, *second = two;

	return memcmp(&first->key, &second->key, sizeof(first->key));
}

/* By key, and so by interface.  To be freed. */
static struct kernel_entry *
list_wanted(struct supervisor *supervisor, size_t *count)
{
	struct kernel_entry *list;
	struct channel *channel;
	size_t most = 0;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		most += kernel_route_inputs(channel);
	list = xcalloc(most + 1, sizeof(*list));
	*count = 0;
	TAILQ_FOREACH(channel, &supervisor->channels, link)
		add_channel(channel, list, count);
	qsort(list, *count, sizeof(*list), compare);
	return list;
}

/*** What the program has. ***/

/* Whether the slots are the same outputs', as far as they can be told. */
static bool
same_slots(const struct kernel_route *one, const struct kernel_route *two)
{
	const struct kernel_target *first, *second;
	size_t i;

	for (i = 0; i < KERNEL_TARGETS; i++) {
		first = &one->target[i];
		second = &two->target[i];
		if (first->slot != second->slot ||
		    first->to_port != second->to_port ||
		    memcmp(first->to, second->to, sizeof(first->to)) != 0)
			return false;
	}
	return true;
}

/* `before': what it was told of the same datagrams, or NULL.  What it cannot be
 * told it must not do by what it was told before: a slot may be another
 * output's now. */
static void
tell_route(const struct kernel_path *path, const struct kernel_entry *before,
    struct kernel_entry *entry)
{
	if (before != NULL && before->error == 0 && memcmp(&before->route,
	    &entry->route, sizeof(entry->route)) == 0)
		return;
	if (kernel_program_set(path->program, &entry->key, &entry->route,
	    before == NULL || !same_slots(&before->route, &entry->route)) == 0)
		return;
	entry->error = errno;
	kernel_program_delete(path->program, &entry->key);
	if (before == NULL || before->error != entry->error)
		log_warnx("channel %s: cannot tell the program in the kernel "
		    "what to relay: %s: its worker does it",
		    entry->channel->name, strerror(entry->error));
}

/* Both lists are sorted.  *list is what the program has then. */
static void
tell_routes(struct kernel_path *path, struct kernel_entry *list, size_t count)
{
	const struct kernel_entry *had = path->had;
	const struct kernel_entry *end = had == NULL ? NULL :
	    had + path->count;
	size_t i;
	int order;

	for (i = 0; i < count || had != end;) {
		order = had == end ? 1 : i == count ? -1 :
		    compare(had, &list[i]);
		if (order < 0)
			kernel_program_delete(path->program, &had->key);
		else
			tell_route(path, order == 0 ? had : NULL, &list[i++]);
		if (order <= 0)
			had++;
	}
	free(path->had);
	path->had = list;
	path->count = count;
}

static const char *
interface_name(uint32_t index, char name[static IF_NAMESIZE])
{
	if (if_indextoname(index, name) == NULL)
		(void)snprintf(name, IF_NAMESIZE, "#%u", index);
	return name;
}

/* Somebody may have taken it away. */
static void
attach(const struct kernel_path *path, struct kernel_place *place)
{
	char name[IF_NAMESIZE];
	int before = place->error;

	if (before == 0 && place->known && kernel_program_at(place->index,
	    path->handle) == kernel_program_id(path->program))
		return;
	(void)interface_name(place->index, name);
	place->known = true;
	place->error = kernel_program_attach(path->program, place->index,
	    path->handle) == -1 ? errno : 0;
	if (place->error == 0)
		log_info("program %u relays in the kernel at %s",
		    kernel_program_id(path->program), name);
	else if (place->error != before)
		log_warnx("interface %s takes no program that relays: %s: "
		    "workers do it", name, strerror(place->error));
}

static void
detach(const struct kernel_path *path, const struct kernel_place *place)
{
	char name[IF_NAMESIZE];

	kernel_program_detach(place->index, path->handle);
	log_info("no program relays in the kernel at %s any more",
	    interface_name(place->index, name));
}

/* Both lists are by index: as the keys are sorted, whatever order that is. */
static void
tell_interfaces(struct kernel_path *path)
{
	struct kernel_place *now = xcalloc(path->count + 1, sizeof(*now));
	const struct kernel_place *had = path->at;
	const struct kernel_place *end = had == NULL ? NULL :
	    had + path->interfaces;
	size_t i, count = 0;

	for (i = 0; i < path->count; i++) {
		if (count > 0 && now[count - 1].index ==
		    path->had[i].key.ifindex)
			continue;
		now[count].index = path->had[i].key.ifindex;
		while (had != end && memcmp(&had->index, &now[count].index,
		    sizeof(had->index)) < 0)
			detach(path, had++);
		if (had != end && had->index == now[count].index)
			now[count] = *had++;
		attach(path, &now[count++]);
	}
	while (had != end)
		detach(path, had++);
	free(path->at);
	path->at = now;
	path->interfaces = count;
}

/* Channels whose program lacks something are their workers'. */
static void
tell_channels(const struct kernel_path *path)
{
	const struct kernel_place *place = path->at;
	struct kernel_failure *failure;
	const struct kernel_entry *entry;
	size_t i;

	for (i = 0; i < path->count; i++) {
		entry = &path->had[i];
		while (place->index != entry->key.ifindex)
			place++;
		if (entry->error == 0 && place->error == 0)
			continue;
		failure = &entry->channel->kernel_failure;
		failure->error = entry->error != 0 ? entry->error :
		    place->error;
		failure->ifindex = entry->error != 0 ? 0 : place->index;
		entry->channel->kernel_outputs.there = 0;
	}
}

static void
tell_nobody(struct supervisor *supervisor)
{
	struct channel *channel;

	TAILQ_FOREACH(channel, &supervisor->channels, link)
		channel->kernel_outputs.there = 0;
}

/* Takes away what a supervisor that was killed has left, but for where our own
 * program is. */
static void
sweep(struct kernel_path *path)
{
	struct if_nameindex *all = if_nameindex(), *each;
	uint32_t id, own = path->program == NULL ? 0 :
	    kernel_program_id(path->program);

	for (each = all; each != NULL && each->if_index != 0; each++) {
		id = kernel_program_at(each->if_index, path->handle);
		if (id == 0 || id == own)
			continue;
		kernel_program_detach(each->if_index, path->handle);
		log_info("program %u, which a mcrelayd before has left at %s, "
		    "does not relay there any more", id, each->if_name);
	}
	if (all != NULL)
		if_freenameindex(all);
	path->swept = true;
}

/*** What is done. ***/

static bool
load(struct kernel_path *path)
{
	char why[KERNEL_WHY_SIZE];

	if (path->program != NULL)
		return true;
	path->program = kernel_program_load(why);
	if (path->program != NULL) {
		path->why[0] = '\0';
		return true;
	}
	if (strcmp(path->why, why) != 0)
		log_warnx("`path: kernel': %s: workers relay", why);
	memcpy(path->why, why, sizeof(path->why));
	return false;
}

void
kernel_path_begin(struct supervisor *supervisor)
{
	struct kernel_path *path = &supervisor->kernel;

	/* Of several daemons each has its own. */
	path->handle = hash_text32(supervisor->conf->run_dir) | 1;
	if (supervisor->inheritance == NULL)
		sweep(path);
	if (any_wanted(supervisor->conf))
		(void)load(path);
}

static void
on_neighbours(void *owner)
{
	kernel_path_update(owner);
}

/* Without one it is looked at once a second. */
static void
watch_neighbours(struct supervisor *supervisor)
{
	struct netwatch *watch = &supervisor->kernel.neighbours;
	int fd;

	if (netwatch_active(watch) || !sends_to_hosts(supervisor->conf) ||
	    (fd = netwatch_open(true)) == -1)
		return;
	watch->owner = supervisor;
	watch->changed = on_neighbours;
	watch->receive = recv;
	netwatch_start(watch, supervisor->loop, fd);
}

void
kernel_path_update(struct supervisor *supervisor)
{
	struct kernel_path *path = &supervisor->kernel;
	struct kernel_entry *list;
	size_t count;

	watch_neighbours(supervisor);
	if (any_wanted(supervisor->conf) || path->count > 0) {
		list = list_wanted(supervisor, &count);
		if (path->program != NULL || (count > 0 && load(path))) {
			tell_routes(path, list, count);
			tell_interfaces(path);
			tell_channels(path);
		} else {
			tell_nobody(supervisor);
			free(list);
		}
	}
	if (!path->swept)
		sweep(path);
}

void
kernel_path_leave(struct channel *channel)
{
	struct kernel_path *path = &channel->supervisor->kernel;
	size_t i;

	for (i = 0; i < path->count; i++)
		if (path->had[i].channel == channel) {
			kernel_program_delete(path->program,
			    &path->had[i].key);
			path->had[i].error = ECANCELED;
		}
	channel->kernel_outputs.there = 0;
	supervisor_notice(channel->supervisor);
}

void
kernel_path_end(struct supervisor *supervisor)
{
	struct kernel_path *path = &supervisor->kernel;

	size_t i;

	for (i = 0; i < path->interfaces; i++)
		detach(path, &path->at[i]);
	netwatch_stop(&path->neighbours);
	kernel_program_free(path->program);
	free(path->had);
	free(path->at);
}

/* Whether the interface takes it, when no channel has it there, for whom a
 * worker does what fails later: tried, as nothing relays by it before a route
 * is told. */
static int
try_interface(const struct kernel_path *path, uint32_t index)
{
	size_t i;

	for (i = 0; i < path->interfaces; i++)
		if (path->at[i].index == index)
			return 0;
	if (kernel_program_attach(path->program, index, path->handle) == -1)
		return errno;
	kernel_program_detach(index, path->handle);
	return 0;
}

/* Says which of its interfaces takes no program. */
static bool
interfaces_take_it(struct channel *channel)
{
	const struct kernel_path *path = &channel->supervisor->kernel;
	struct lack *lack = &channel->kernel;
	char name[IF_NAMESIZE];
	uint32_t index;
	size_t i;
	int error;

	/* What is not there is waited for as it is. */
	for (i = 0; (index = kernel_route_interface(channel, i)) != UINT32_MAX;
	    i++)
		if (index != 0 && (error = try_interface(path, index)) != 0) {
			(void)snprintf(lack->detail, sizeof(lack->detail),
			    "`path: kernel' without `fallback': interface %s "
			    "takes no program: %s",
			    interface_name(index, name), strerror(error));
			return false;
		}
	return true;
}

bool
kernel_path_ready(struct channel *channel)
{
	struct kernel_path *path = &channel->supervisor->kernel;
	struct lack *lack = &channel->kernel;

	lack->error = 0;
	if (!kernel_path_wanted(channel->conf, true))
		return true;
	if (!load(path))
		(void)snprintf(lack->detail, sizeof(lack->detail),
		    "`path: kernel' without `fallback': %s", path->why);
	else if (!kernel_route_hears_marks(channel))
		(void)snprintf(lack->detail, sizeof(lack->detail),
		    "`path: kernel' without `fallback': its socket does not "
		    "tell marks: that takes Linux 6.0, and CAP_NET_ADMIN");
	else if (interfaces_take_it(channel))
		return true;
	lack->error = ENOSYS;
	lack->kernel = true;
	return false;
}

/*** What is said. ***/

bool
kernel_path_text(const struct conf *conf, char text[KERNEL_WHY_SIZE])
{
	struct kernel_program *program;
	char why[KERNEL_WHY_SIZE];

	if (!any_wanted(conf))
		return false;
	program = kernel_program_load(why);
	if (program != NULL)
		(void)snprintf(text, KERNEL_WHY_SIZE, "by a program in the "
		    "kernel, at the inputs' interfaces (clsact)");
	else
		(void)snprintf(text, KERNEL_WHY_SIZE, "by workers: %.140s",
		    why);
	kernel_program_free(program);
	return true;
}
