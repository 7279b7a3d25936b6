/* SPDX-License-Identifier: ISC */
/*
 * mcrelayd: options, then the supervisor.
 */
#include <sys/stat.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/archive_names.h"
#include "common/help.h"
#include "common/log.h"
#include "common/uring.h"
#include "common/util.h"
#include "supervisor/account.h"
#include "supervisor/capabilities.h"
#include "supervisor/daemon.h"
#include "supervisor/doctor/doctor.h"
#include "supervisor/fdstore.h"
#include "supervisor/handoff.h"
#include "supervisor/kernel_path.h"
#include "supervisor/xdp_path.h"
#include "supervisor/needs.h"
#include "supervisor/report.h"
#include "supervisor/startup.h"
#include "supervisor/segmentation.h"
#include "supervisor/supervisor.h"
#include "supervisor/users.h"
#include "supervisor/web_files.h"

#define DEFAULT_FILE	SYSCONFDIR "/mcrelay.yaml"

#define EXIT_USAGE	2

struct options {
	const char	*file;
	bool		 check;
	bool		 foreground;
	bool		 verbose;
	int		 handoff;	/* -1: none */
	bool		 check_handoff;
	bool		 doctor;
	struct doctor_options to_doctor;
};

enum {
	OPTION_ACCOUNT = 256,
	OPTION_CHECK_HANDOFF,
	OPTION_DISK,
	OPTION_DOCTOR,
	OPTION_FACTS,
	OPTION_HANDOFF,
};

/* Those that want an argument are for an upgrade, and for mcrelayctl. */
static const struct option long_options[] = {
	{"account", no_argument, NULL, OPTION_ACCOUNT},
	{"check-handoff", required_argument, NULL, OPTION_CHECK_HANDOFF},
	{"disk", no_argument, NULL, OPTION_DISK},
	{"doctor", optional_argument, NULL, OPTION_DOCTOR},
	{"facts", required_argument, NULL, OPTION_FACTS},
	{"handoff", required_argument, NULL, OPTION_HANDOFF},
	{NULL, 0, NULL, 0},
};

static const struct help_line help_lines[] = {
	{"-d", "", "stay in the foreground, log to standard error"},
	{"-f", "file", "the configuration; else " DEFAULT_FILE},
	{"-n", "", "check the configuration, say what it needs, and exit"},
	{"--doctor[=check]", "", "look for what can go wrong here, and exit"},
	{"-j", "", "with --doctor: as JSON"},
	{"--disk", "", "with --doctor: also measure disks, by writing"},
	{"-v", "", "log everything, debug messages too"},
	{NULL, NULL, NULL},
};
static const struct help help = {"mcrelayd", "8",
    "mcrelayd [-dnv] [-f file]\n"
    "       mcrelayd -n --doctor[=check] [-j] [--disk] [file]\n"
    "       mcrelayd -h | -V\n", help_lines};

static _Noreturn void
usage(void)
{
	help_usage(&help);
	exit(EXIT_USAGE);
}

/* Those of the doctor.  False: it is none. */
static bool
parse_doctor(struct options *options, int option)
{
	struct doctor_options *to = &options->to_doctor;

	switch (option) {
	case OPTION_DOCTOR:
		options->doctor = options->check = true;
		to->check = optarg;
		return true;
	case OPTION_DISK:
		to->disk = true;
		return true;
	case OPTION_FACTS:
		to->facts = atoi(optarg);
		return true;
	case 'j':
		to->json = true;
		return true;
	default:
		return false;
	}
}

/* The doctor takes the file as an argument as well. */
static void
parse_rest(struct options *options, int argc, char **argv)
{
	const struct doctor_options *to = &options->to_doctor;

	if (options->doctor && optind < argc)
		options->file = argv[optind++];
	if (optind != argc || (!options->doctor &&
	    (to->json || to->disk || to->facts != -1)))
		usage();
}

static void
parse_options(struct options *options, int argc, char **argv)
{
	int option;

	help_answer(&help, argc, argv);
	while ((option = getopt_long(argc, argv, "df:jnv", long_options,
	    NULL)) != -1)
		switch (option) {
		case OPTION_ACCOUNT:
			exit(account_print());
		case OPTION_CHECK_HANDOFF:
			options->check_handoff = true;
			/* FALLTHROUGH */
		case OPTION_HANDOFF:
			options->handoff = atoi(optarg);
			break;
		case 'd':
			options->foreground = true;
			break;
		case 'f':
			options->file = optarg;
			break;
		case 'n':
			options->check = true;
			break;
		case 'v':
			options->verbose = true;
			break;
		default:
			if (!parse_doctor(options, option))
				usage();
		}
	parse_rest(options, argc, argv);
}

static void
print_problems(const struct conf_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		fprintf(stderr, "%s%s\n", problems->list[i].warning ?
		    "warning: " : "", problems->list[i].text);
}

/* A daemon changes its directory, and reads the file again at a reload. */
static char *
absolute(const char *file)
{
	char directory[PATH_MAX];

	if (file[0] == '/')
		return xstrdup(file);
	if (getcwd(directory, sizeof(directory)) == NULL)
		fatal("the working directory");
	return xasprintf("%s/%s", directory, file);
}

/*
 * The path that we were started from, which an upgrade executes again:
 * whatever is there by then.  Symbolic links in it are left as they are.
 */
static char *
own_path(const char *name)
{
	struct stat here, there;
	char path[PATH_MAX];
	ssize_t length;

	if (strchr(name, '/') != NULL && stat(name, &here) == 0 &&
	    stat("/proc/self/exe", &there) == 0 &&
	    here.st_dev == there.st_dev && here.st_ino == there.st_ino)
		return absolute(name);
	length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (length == -1)
		return absolute(name);
	path[length] = '\0';
	return xstrdup(path);
}

static int
run(const struct options *options, struct supervisor *supervisor,
    struct conf *conf)
{
	char *file = absolute(options->file);
	int status;

	supervisor->absolute_file = file;
	if (!options->foreground)
		supervisor->file = file;
	if (!options->foreground && options->handoff == -1)
		supervisor->start_pipe = daemon_begin();
	status = supervisor_run(supervisor, conf);
	free(file);
	return status;
}

/* From an older image, or from the service manager. */
static struct inheritance *
receive(const struct options *options)
{
	struct inheritance *inheritance;
	const char *why;

	if (options->handoff == -1)
		return options->foreground && !options->check ?
		    fdstore_receive() : NULL;
	inheritance = handoff_read(options->handoff, &why);
	if (inheritance == NULL)
		fatalx("%s", why);
	if (!options->check_handoff)
		log_init("mcrelayd", NULL,
		    (enum log_target)inheritance->log_target,
		    inheritance->log_level);
	return inheritance;
}

static struct conf *
if_capable(struct conf *conf, struct conf_problems *problems)
{
	if (capabilities_suffice(conf, 0, problems))
		return conf;
	conf_free(conf);
	return NULL;
}

/* An image that took over has no terminal to complain on. */
static struct conf *
load(const struct options *options, struct supervisor *supervisor)
{
	struct conf_problems problems = {NULL, 0, 0};
	struct conf *conf;

	supervisor->spoils_runs = !options->check && segmentation_is_spoilt();
	conf = supervisor_load(supervisor, &problems);
	/* The file is well for whoever else starts the daemon. */
	if (conf != NULL && options->check) {
		startup_warn_user(conf, &problems);
		conf = if_capable(conf, &problems);
	}
	if (options->handoff == -1 || options->check_handoff)
		print_problems(&problems);
	else {
		report_log(&problems, 0);
		if (conf == NULL)
			supervisor_give_up();
	}
	conf_problems_free(&problems);
	return conf;
}

/* What the configuration, which is good, asks of this machine. */
static void
print_needs(const struct conf *conf)
{
	struct conf_problems problems = {NULL, 0, 0};
	struct needs_limits limits;
	struct needs needs;
	char text[NEEDS_TEXT_SIZE];

	needs_of(&needs, conf);
	/* A daemon that runs may have what it needs already. */
	needs_limits(&limits, NEEDS_MEMORY_TOTAL);
	needs_text(&needs, &limits, text);
	printf("configuration OK\n%s\n", text);
	if (kernel_path_text(conf, text))
		printf("`path: kernel': relayed %s\n", text);
	if (xdp_path_text(conf, text))
		printf("`path: xdp': received %s\n", text);
	needs_check(&needs, &limits, &problems);
	print_problems(&problems);
	conf_problems_free(&problems);
}

/* Who would be whom, if root started the daemon now.  False: there is no
 * telling, and why not has been said. */
static bool
find_users(const struct supervisor *supervisor, struct conf *conf)
{
	struct conf_problems problems = {NULL, 0, 0};
	bool good;

	users_assign(supervisor, conf, &problems);
	print_problems(&problems);
	good = problems.errors == 0;
	conf_problems_free(&problems);
	return good;
}

static void
print_foreign_directories(const struct conf *conf)
{
	struct conf_problems problems = {NULL, 0, 0};

	users_check_directories(conf, &problems);
	print_problems(&problems);
	conf_problems_free(&problems);
}

static void
print_users(const struct conf *conf)
{
	size_t i;

	if (!conf_own_users(conf))
		return;
	printf("decimators run as user id %u\n",
	    (unsigned)conf->decimator_user.uid);
	if (conf_has_web(conf))
		printf("mcrelay-web runs as user id %u\n",
		    (unsigned)conf->web_user.uid);
	for (i = 0; i < conf->channels; i++)
		printf("channel %s runs as user id %u\n",
		    conf->channel[i].name,
		    (unsigned)conf->channel[i].user.uid);
}

static void
print_back_end(const struct channel_conf *channel, bool have)
{
	enum archive_write write = channel->archive.write;

	if (channel->archive.enabled && archive_back_end(write, true) != write)
		printf("channel %s writes its archive by %s\n", channel->name,
		    archive_write_name(archive_back_end(write, have)));
}

/* How channels would receive and write that want io_uring. */
static void
print_uring(const struct conf *conf)
{
	char why[URING_WHY_SIZE];
	uint32_t uses = uring_probe(URING_RECEIVE | URING_WRITE, why);
	bool have = (uses & URING_RECEIVE) != 0;
	const struct channel_conf *channel;
	size_t i;

	for (i = 0; i < conf->channels; i++) {
		channel = &conf->channel[i];
		if (!channel->uring.enabled)
			continue;
		if (have)
			printf("channel %s receives by io_uring\n",
			    channel->name);
		else
			printf("channel %s %s: io_uring cannot be used (%s)\n",
			    channel->name, channel->uring.fallback_on_error ?
			    "receives by sockets" : "would fail", why);
		print_back_end(channel, (uses & URING_WRITE) != 0);
	}
}

/* The files that say who may read metrics. */
static bool
check_web(const struct conf *conf)
{
	struct conf_problems problems = {NULL, 0, 0};
	struct web_files files;
	bool good = true;

	if (conf_has_web(conf)) {
		good = web_files_open(&files, &conf->web, &problems);
		web_files_close(&files);
		print_problems(&problems);
		conf_problems_free(&problems);
	}
	return good;
}

static int
check(const struct supervisor *supervisor, struct conf *conf)
{
	bool good = check_web(conf) && find_users(supervisor, conf);

	if (good) {
		print_needs(conf);
		print_users(conf);
		print_uring(conf);
		print_foreign_directories(conf);
	}
	conf_free(conf);
	return good ? 0 : 1;
}

static int
see_doctor(const struct options *options, const struct supervisor *supervisor,
    struct conf *conf)
{
	int result = 1;

	/* What a daemon would have. */
	startup_raise_limits();
	if (find_users(supervisor, conf))
		result = doctor_run(conf, &options->to_doctor);
	conf_free(conf);
	return result;
}

/* Whatever we were called for.  Returns the exit status. */
static int
act(const struct options *options, struct supervisor *supervisor)
{
	struct conf *conf = load(options, supervisor);

	if (conf == NULL)
		return 1;
	if (options->doctor)
		return see_doctor(options, supervisor, conf);
	if (options->check_handoff)
		return startup_check_handoff(supervisor, conf);
	if (!options->check)
		return run(options, supervisor, conf);
	return check(supervisor, conf);
}

int
main(int argc, char **argv)
{
	struct options options = {.file = DEFAULT_FILE, .handoff = -1,
	    .to_doctor = {.facts = -1}};
	struct supervisor supervisor = {.start_pipe = -1,
	    .spawn = {.launcher = -1}};
	char *program;
	int status;

	daemon_standard_descriptors();
	log_init("mcrelayd", NULL, LOG_TARGET_STDERR, LOG_INFO);
	parse_options(&options, argc, argv);
	supervisor.foreground = options.foreground;
	supervisor.verbose = options.verbose;
	supervisor.file = options.file;
	program = own_path(argv[0]);
	supervisor.program = program;
	images_init(&supervisor.images);
	supervisor.inheritance = receive(&options);
	status = act(&options, &supervisor);
	inheritance_free(supervisor.inheritance);
	free(program);
	return status;
}
