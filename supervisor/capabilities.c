/* SPDX-License-Identifier: ISC */
/*
 * The supervisor's capabilities.  See capabilities.h.  Supervisor only.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/udp.h"
#include "common/util.h"
#include "supervisor/capabilities.h"
#include "supervisor/conf/address.h"
#include "supervisor/dirs.h"
#include "supervisor/far_file.h"
#include "supervisor/report.h"
#include "supervisor/sockets.h"
#include "supervisor/supervisor.h"

#define BIT(capability)	(UINT64_C(1) << (capability))
#define FILES		(BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH))

/* All that a configuration can ask for.  One that is soft is missed, but not
 * so much that a configuration would not work without. */
static const struct {
	unsigned	 capability;
	const char	*name;
	const char	*purpose;
	bool		 soft;
} table[] = {
	{CAP_CHOWN, "CAP_CHOWN",
	    "to give archive directories to the workers' users", false},
	{CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE",
	    "for directories and files that are not root's", false},
	{CAP_KILL, "CAP_KILL", "to end workers of other users", false},
	{CAP_SETGID, "CAP_SETGID", "to start workers of other users", false},
	{CAP_SETUID, "CAP_SETUID", "to start workers of other users", false},
	{CAP_SETPCAP, "CAP_SETPCAP",
	    "so that workers can have no capability ever", true},
	{CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE",
	    "for ports below 1024", false},
	{CAP_NET_ADMIN, "CAP_NET_ADMIN",
	    "for buffers of sockets that are larger than net.core.rmem_max "
	    "and wmem_max", true},
	{CAP_NET_RAW, "CAP_NET_RAW",
	    "for AF_XDP, and to notice, after an upgrade, that there is no "
	    "querier", true},
	{CAP_BPF, "CAP_BPF", "to load programs into the kernel", true},
	{CAP_IPC_LOCK, "CAP_IPC_LOCK", "to lock memory beyond the limit", true},
};

/*** The kernel's sets. ***/

struct sets {
	uint64_t	effective;
	uint64_t	permitted;
	uint64_t	inheritable;
};

static bool
get_sets(struct sets *sets)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (syscall(SYS_capget, &header, data) == -1)
		return false;
	sets->effective = data[0].effective |
	    (uint64_t)data[1].effective << 32;
	sets->permitted = data[0].permitted |
	    (uint64_t)data[1].permitted << 32;
	sets->inheritable = data[0].inheritable |
	    (uint64_t)data[1].inheritable << 32;
	return true;
}

static bool
set_sets(const struct sets *sets)
{
	struct __user_cap_header_struct header = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	unsigned i;

	for (i = 0; i < NITEMS(data); i++) {
		data[i].effective = (uint32_t)(sets->effective >> 32 * i);
		data[i].permitted = (uint32_t)(sets->permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(sets->inheritable >> 32 * i);
	}
	return syscall(SYS_capset, &header, data) == 0;
}

bool
capable(unsigned capability)
{
	struct sets sets;

	return get_sets(&sets) && (sets.effective & BIT(capability)) != 0;
}

bool
capable_of_users(void)
{
	return capable(CAP_SETUID) && capable(CAP_SETGID);
}

/*** What is asked for. ***/

/* `unknown' when the kernel does not say. */
static uint64_t
sysctl(const char *path, uint64_t unknown)
{
	FILE *file = fopen(path, "re");
	uint64_t value;

	if (file == NULL)
		return unknown;
	if (fscanf(file, "%" SCNu64, &value) != 1)
		value = unknown;
	fclose(file);
	return value;
}

/* As whoever we are, without the capabilities for files: whether these would
 * not help.  A kernel that cannot be asked says no. */
static bool
may(const char *path, int mode)
{
	return syscall(SYS_faccessat2, AT_FDCWD, path, mode, AT_EACCESS) ==
	    0 || (errno != EACCES && errno != ENOSYS);
}

/* What is not looked at is read soon, which tells. */
static bool
may_read(const char *file)
{
	return !far_file_may_look(file) || may(file, R_OK);
}

static bool
may_enter(const char *directory, int mode)
{
	char *path = xasprintf("%s/.", directory);
	bool good = may(path, mode);

	free(path);
	return good;
}

/* Or the first directory above it that is there. */
static bool
may_make(const char *path)
{
	char *copy = xstrdup(path), *slash;
	bool good;

	while (access(copy, F_OK) == -1 &&
	    (slash = strrchr(copy, '/')) != NULL && slash != copy)
		*slash = '\0';
	good = may_enter(copy, W_OK | X_OK);
	free(copy);
	return good;
}

static bool
may_archive(const struct channel_conf *channel)
{
	char *path = xasprintf("%s/%s", channel->archive.directory,
	    channel->name);
	bool good;

	/* Where that cannot be known, what they may be needed for may come. */
	good = dirs_is_near(path) && (access(path, F_OK) == 0 ?
	    may_enter(path, R_OK | X_OK) :
	    may_make(channel->archive.directory));
	free(path);
	return good;
}

static bool
may_execute(const char *directory, const char *program)
{
	char *path = xasprintf("%s/%s", directory, program);
	bool good = may(path, X_OK);

	free(path);
	return good;
}

static bool
may_read_schema(const struct channel_conf *channel)
{
	size_t i;

	for (i = 0; i < channel->schema_parts; i++)
		if (!may_read(channel->schema_part[i]))
			return false;
	return channel->schema_file == NULL || may_read(channel->schema_file);
}

/* All that is opened by its path after the start. */
static bool
may_open_all(const struct supervisor *supervisor, const struct conf *conf)
{
	const char *programs = supervisor->spawn.directory;
	const struct channel_conf *channel;
	size_t i;

	if (!may_read(supervisor->file) ||
	    !may(supervisor->program, X_OK) ||
	    !may_execute(programs, "mcrelay-worker") ||
	    !may_execute(programs, "mcrelay-decimator") ||
	    (conf_has_web(conf) && !may_execute(programs, "mcrelay-web")) ||
	    ((conf_forwarders(conf) > 0 || conf_has_leases(conf)) &&
	    !may_execute(programs, "mcrelay-forwarder")))
		return false;
	for (i = 0; i < WEB_TEXTS; i++)
		if (conf->web.file[i][0] != '\0' &&
		    !may_read(conf->web.file[i]))
			return false;
	for (i = 0; i < conf->channels; i++) {
		channel = &conf->channel[i];
		if (!may_read_schema(channel) ||
		    (channel->archive.enabled && !may_archive(channel)))
			return false;
	}
	return true;
}

/* Whether files are in reach for who we are alone. */
static bool
reaches_files(const struct supervisor *supervisor, const struct conf *conf)
{
	struct sets before, less;
	bool good;

	if (!get_sets(&before))
		return false;
	less = before;
	less.effective &= ~FILES;
	if (!set_sets(&less))
		return false;
	good = may_open_all(supervisor, conf);
	if (!set_sets(&before))
		fatal("capabilities");
	return good;
}

static uint64_t
asked_by_input(const struct listen_config *listen, uint64_t rmem_max,
    uint64_t free_port)
{
	unsigned port = address_port(&listen->address);
	uint64_t asked = 0;

	if (port != 0 && port < free_port)
		asked |= BIT(CAP_NET_BIND_SERVICE);
	if (udp_is_group(&listen->address))
		asked |= BIT(CAP_NET_RAW);
	if (listen->receive_buffer > rmem_max || listen->busy_poll_ns > 0)
		asked |= BIT(CAP_NET_ADMIN);
	if (listen->xdp)
		asked |= BIT(CAP_BPF) | BIT(CAP_NET_ADMIN) |
		    BIT(CAP_NET_RAW);
	return asked;
}

static bool
keeps_source(const struct channel_conf *channel)
{
	size_t i;

	for (i = 0; i < channel->relays; i++)
		if (channel->relay[i].keep_source)
			return true;
	return false;
}

static uint64_t
asked_by_channel(const struct channel_conf *channel, uint64_t rmem_max,
    uint64_t wmem_max, uint64_t free_port)
{
	uint64_t asked = 0;
	size_t i;

	for (i = 0; i < channel->inputs; i++)
		asked |= asked_by_input(&channel->listen[i], rmem_max,
		    free_port);
	if ((channel->relays + channel->decimates > 0 &&
	    wmem_max < SOCKETS_SEND_BUFFER))
		asked |= BIT(CAP_NET_ADMIN);
	if (keeps_source(channel))
		asked |= BIT(CAP_NET_RAW);
	if (kernel_path_wanted(channel, false))
		asked |= BIT(CAP_BPF) | BIT(CAP_NET_ADMIN);
	return asked;
}

/* Of archives: in a directory that is the workers' user's, channels that come
 * later need one as well. */
static uint64_t
asked_for_users(const struct supervisor *supervisor, const struct conf *conf)
{
	bool users = conf->decimator_user.uid != 0, archives = false;
	uint64_t asked = BIT(CAP_SETPCAP);
	size_t i;

	for (i = 0; i < conf->channels; i++)
		archives = archives || conf->channel[i].archive.enabled;
	if (users)
		asked |= BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_KILL);
	if (users && archives)
		asked |= BIT(CAP_CHOWN);
	if ((users && archives && !conf_own_users(conf)) ||
	    !reaches_files(supervisor, conf))
		asked |= BIT(CAP_DAC_OVERRIDE);
	return asked;
}

static uint64_t
asked_for(const struct supervisor *supervisor, const struct conf *conf)
{
	uint64_t rmem_max = sysctl("/proc/sys/net/core/rmem_max", 0);
	uint64_t wmem_max = sysctl("/proc/sys/net/core/wmem_max", 0);
	uint64_t free_port = sysctl(
	    "/proc/sys/net/ipv4/ip_unprivileged_port_start", 1024);
	uint64_t asked = asked_for_users(supervisor, conf);
	unsigned port = conf->web.address.ss_family == AF_UNIX ? 0 :
	    address_port(&conf->web.address);
	struct rlimit limit;
	size_t i;

	if (conf_has_web(conf) && port != 0 && port < free_port)
		asked |= BIT(CAP_NET_BIND_SERVICE);
	/* At the start it is raised, once for all. */
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == -1 ||
	    limit.rlim_cur != RLIM_INFINITY)
		asked |= BIT(CAP_IPC_LOCK);
	for (i = 0; i < conf->channels; i++)
		asked |= asked_by_channel(&conf->channel[i], rmem_max,
		    wmem_max, free_port);
	return asked;
}

/*** What is done about it. ***/

static void
reduce_bounds(uint64_t asked)
{
	unsigned i;
	int has;

	/* Beyond the last one that the kernel knows: EINVAL. */
	for (i = 0; (has = prctl(PR_CAPBSET_READ, i, 0, 0, 0)) != -1; i++)
		if (has == 1 && (i >= 64 || (asked & BIT(i)) == 0))
			(void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
}

void
capabilities_reduce(struct supervisor *supervisor)
{
	uint64_t asked = asked_for(supervisor, supervisor->conf);
	struct sets sets;

	if (!get_sets(&sets))
		return;
	reduce_bounds(asked);
	supervisor->given_up |= sets.permitted & ~asked;
	sets.permitted &= asked;
	sets.effective &= asked;
	sets.inheritable &= asked;
	if (!set_sets(&sets))
		log_warn("cannot give up capabilities");
}

bool
capabilities_suffice(const struct conf *conf, uint64_t given_up,
    struct conf_problems *problems)
{
	const struct channel_conf *channel;
	bool good = true;
	size_t i;

	for (i = 0; i < conf->channels && !capable(CAP_NET_RAW); i++) {
		channel = &conf->channel[i];
		if (!keeps_source(channel))
			continue;
		good = false;
		report_error(problems, "%s:%u: channel %s: `keep_source: true' "
		    "needs the capability CAP_NET_RAW, which %s", conf->file,
		    channel->line, channel->name,
		    (given_up & BIT(CAP_NET_RAW)) != 0 ? "mcrelayd has given "
		    "up, as nothing asked for it when it was started: restart "
		    "it" : "this process does not have: start mcrelayd as "
		    "root, or give it that alone, as mcrelayd(8) says");
	}
	return good;
}

void
capabilities_check(const struct supervisor *supervisor,
    const struct conf *conf, struct conf_problems *problems)
{
	uint64_t lost = supervisor->given_up & asked_for(supervisor, conf);
	size_t i;

	if (!capabilities_suffice(conf, supervisor->given_up, problems))
		lost &= ~BIT(CAP_NET_RAW);
	for (i = 0; i < NITEMS(table); i++) {
		if ((lost & BIT(table[i].capability)) == 0)
			continue;
		if (table[i].soft)
			report_warning(problems, "%s: this could use %s, %s, "
			    "which mcrelayd has given up, as nothing asked "
			    "for it when it was started: restart it for that",
			    conf->file, table[i].name, table[i].purpose);
		else
			report_error(problems, "%s: this needs %s, %s, which "
			    "mcrelayd has given up, as nothing asked for it "
			    "when it was started: restart it", conf->file,
			    table[i].name, table[i].purpose);
	}
}

json_t *
capabilities_json(void)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < NITEMS(table); i++)
		if (capable(table[i].capability))
			json_array_append_new(array,
			    json_string(table[i].name));
	return array;
}
