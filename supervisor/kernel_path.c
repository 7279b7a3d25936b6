/* SPDX-License-Identifier: ISC */
/*
 * Outputs with `path: kernel'.  See kernel_path.h.  Supervisor only.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/log.h"
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
	uint32_t outputs = UINT32_MAX, of_input;
	bool any = false;

	for (i = 0; i < inputs && *count < KERNEL_ROUTES; i++) {
		of_input = 0;
		if (kernel_route(channel, i, &list[*count], &of_input)) {
			++*count;
			any = true;
		}
		outputs &= of_input;
	}
	channel->kernel_outputs = any ? outputs : 0;
}

/* To be freed. */
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
	return list;
}

/*** What the program has. ***/

/* Both lists are in the order of the channels: it is mostly where it was. */
static const struct kernel_entry *
find(const struct kernel_entry *list, size_t count,
    const struct kernel_key *key, size_t hint)
{
	size_t i;

	if (hint < count && memcmp(&list[hint].key, key, sizeof(*key)) == 0)
		return &list[hint];
	for (i = 0; i < count; i++)
		if (memcmp(&list[i].key, key, sizeof(*key)) == 0)
			return &list[i];
	return NULL;
}

/* *list is what the program has then. */
static void
tell_routes(struct kernel_path *path, struct kernel_entry *list, size_t count)
{
	const struct kernel_entry *before;
	size_t i;

	for (i = 0; i < path->count; i++)
		if (find(list, count, &path->had[i].key, i) == NULL)
			kernel_program_delete(path->program,
			    &path->had[i].key);
	for (i = 0; i < count; i++) {
		before = find(path->had, path->count, &list[i].key, i);
		if (before != NULL && memcmp(&before->route, &list[i].route,
		    sizeof(list[i].route)) == 0)
			continue;
		if (kernel_program_set(path->program, &list[i].key,
		    &list[i].route) == -1)
			log_warn("cannot tell the program in the kernel what "
			    "to relay: workers do it");
	}
	free(path->had);
	path->had = list;
	path->count = count;
}

static bool
has_interface(const struct kernel_entry *list, size_t count, uint32_t index)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (list[i].key.ifindex == index)
			return true;
	return false;
}

static const char *
interface_name(uint32_t index, char name[static IF_NAMESIZE])
{
	if (if_indextoname(index, name) == NULL)
		(void)snprintf(name, IF_NAMESIZE, "#%u", index);
	return name;
}

static bool
is_at(const struct kernel_path *path, uint32_t index)
{
	size_t i;

	for (i = 0; i < path->interfaces; i++)
		if (path->at[i] == index)
			return true;
	return false;
}

/* Somebody may have taken it away. */
static void
attach(struct kernel_path *path, uint32_t index)
{
	char name[IF_NAMESIZE];
	bool known = is_at(path, index);

	if (kernel_program_at(index, path->handle) ==
	    kernel_program_id(path->program) && known)
		return;
	(void)interface_name(index, name);
	if (kernel_program_attach(path->program, index, path->handle) == -1) {
		if (path->why[0] == '\0')
			log_warn("interface %s takes no program that relays: "
			    "workers do it", name);
		(void)snprintf(path->why, sizeof(path->why),
		    "interface %s takes no program: %s", name,
		    strerror(errno));
		return;
	}
	path->why[0] = '\0';
	log_info("program %u relays in the kernel at %s",
	    kernel_program_id(path->program), name);
	if (known)
		return;
	path->at = xrealloc(path->at, (path->interfaces + 1) *
	    sizeof(*path->at));
	path->at[path->interfaces++] = index;
}

static void
detach(struct kernel_path *path, size_t i)
{
	char name[IF_NAMESIZE];

	kernel_program_detach(path->at[i], path->handle);
	log_info("no program relays in the kernel at %s any more",
	    interface_name(path->at[i], name));
	path->at[i] = path->at[--path->interfaces];
}

static void
tell_interfaces(struct kernel_path *path)
{
	size_t i;

	for (i = 0; i < path->count; i++)
		if (i == 0 || path->had[i].key.ifindex !=
		    path->had[i - 1].key.ifindex)
			attach(path, path->had[i].key.ifindex);
	for (i = path->interfaces; i-- > 0;)
		if (!has_interface(path->had, path->count, path->at[i]))
			detach(path, i);
}

/* Takes away what a supervisor that was killed has left, but for where our own
 * program is. */
static void
sweep(struct kernel_path *path)
{
	struct if_nameindex *all = if_nameindex(), *each;
	uint32_t id;

	for (each = all; each != NULL && each->if_index != 0; each++) {
		id = kernel_program_at(each->if_index, path->handle);
		if (id == 0 || is_at(path, each->if_index))
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

void
kernel_path_update(struct supervisor *supervisor)
{
	struct kernel_path *path = &supervisor->kernel;
	struct kernel_entry *list;
	size_t count;

	if (any_wanted(supervisor->conf) || path->count > 0) {
		list = list_wanted(supervisor, &count);
		if (path->program != NULL || (count > 0 && load(path))) {
			tell_routes(path, list, count);
			tell_interfaces(path);
		} else
			free(list);
	}
	if (!path->swept)
		sweep(path);
}

void
kernel_path_end(struct supervisor *supervisor)
{
	struct kernel_path *path = &supervisor->kernel;

	while (path->interfaces > 0)
		detach(path, path->interfaces - 1);
	kernel_program_free(path->program);
	free(path->had);
	free(path->at);
}

/*** What is said. ***/

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
	else
		return true;
	lack->error = ENOSYS;
	lack->kernel = true;
	return false;
}

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
