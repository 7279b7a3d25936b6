/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-web: serves metrics by HTTP.  Started by mcrelayd.
 */
#include "common/help.h"
#include "web/web.h"

int
main(int argc, char **argv)
{
	help_answer_child("mcrelay-web", argc, argv);
	return web_run();
}
