/* SPDX-License-Identifier: ISC */
/*
 * mcrelayd: options, then the supervisor.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/daemon.h"
#include "supervisor/supervisor.h"

#define DEFAULT_FILE	SYSCONFDIR "/mcrelay.yaml"

#define EXIT_USAGE	2

struct options {
	const char	*file;
	bool		 check;
	bool		 foreground;
	bool		 verbose;
};

static _Noreturn void
usage(void)
{
	fprintf(stderr, "usage: mcrelayd [-dnVv] [-f file]\n");
	exit(EXIT_USAGE);
}

static void
parse_options(struct options *options, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "df:nVv")) != -1)
		switch (option) {
		case 'd':
			options->foreground = true;
			break;
		case 'f':
			options->file = optarg;
			break;
		case 'n':
			options->check = true;
			break;
		case 'V':
			printf("mcrelayd %s\n", PACKAGE_VERSION);
			exit(0);
		case 'v':
			options->verbose = true;
			break;
		default:
			usage();
		}
	if (optind != argc)
		usage();
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

static int
run(const struct options *options, struct supervisor *supervisor,
    struct conf *conf)
{
	char *file = absolute(options->file);
	int status;

	if (!options->foreground) {
		supervisor->file = file;
		supervisor->start_pipe = daemon_begin();
	}
	status = supervisor_run(supervisor, conf);
	free(file);
	return status;
}

int
main(int argc, char **argv)
{
	struct options options = {.file = DEFAULT_FILE};
	struct supervisor supervisor = {.start_pipe = -1};
	struct conf_problems problems = {NULL, 0, 0};
	struct conf *conf;

	daemon_standard_descriptors();
	log_init("mcrelayd", NULL, LOG_TARGET_STDERR, LOG_INFO);
	parse_options(&options, argc, argv);
	supervisor.foreground = options.foreground;
	supervisor.verbose = options.verbose;
	supervisor.file = options.file;
	conf = supervisor_load(&supervisor, &problems);
	print_problems(&problems);
	conf_problems_free(&problems);
	if (conf == NULL)
		return 1;
	if (options.check) {
		printf("configuration OK\n");
		conf_free(conf);
		return 0;
	}
	return run(&options, &supervisor, conf);
}
