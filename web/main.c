/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-web: serves metrics by HTTP.  Started by mcrelayd.
 */
#include "web/web.h"

int
main(void)
{
	return web_run();
}
