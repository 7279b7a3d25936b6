# SPDX-License-Identifier: ISC
# Included by the Makefile.am of the top directory.

#
# debian: the packages.  A release has debian/changelog, too, made from NEWS.
#
EXTRA_DIST += debian/control debian/copyright debian/make-changelog \
	debian/mcrelay-forwarder.install debian/mcrelay-tools.install \
	debian/mcrelay-web.install \
	debian/mcrelay.docs debian/mcrelay.install debian/mcrelay.postinst \
	debian/mcrelay.postrm debian/mcrelay.triggers debian/mcrelay.yaml \
	debian/mcrelayd.service.d/unedited.conf debian/rules \
	debian/source/format debian/tests/control debian/tests/main-job

dist-changelog:
	"$(srcdir)/debian/make-changelog" "$(srcdir)" >changelog.tmp
	mv changelog.tmp "$(distdir)/debian/changelog"
.PHONY: dist-changelog

# From what a release is made of, here and not in the source tree.
deb: dist
	rm -rf deb
	$(MKDIR_P) deb
	xz -dc "$(distdir).tar.xz" | (cd deb && tar -xf -)
	cd "deb/$(distdir)" && dpkg-buildpackage -us -uc -b
	rm -rf "deb/$(distdir)"
.PHONY: deb
