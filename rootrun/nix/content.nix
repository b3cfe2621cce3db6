# What images often need: fakeNss, binSh, usrBinEnv, caCertificates, shadowSetup.
context:
let
  inherit (context) runCommand makeOverridable;
  tree =
    name: attributes: script:
    runCommand name ({ inherit (context) builderPath; } // attributes) (
      builtins.readFile ./functions.sh + script
    );

  users = ''
    mkdir -p "$out/etc" "$out/var/empty"
    {
      echo 'root:x:0:0:root user:/var/empty:/bin/sh'
      [ -z "$extraPasswd" ] || printf '%s\n' "$extraPasswd"
      echo 'nobody:x:65534:65534:nobody:/var/empty:/bin/sh'
    } > "$out/etc/passwd"
    {
      echo 'root:x:0:'
      [ -z "$extraGroup" ] || printf '%s\n' "$extraGroup"
      echo 'nobody:x:65534:'
    } > "$out/etc/group"
    echo 'hosts: files dns' > "$out/etc/nsswitch.conf"
  '';
  link = name: path: target: tree name { inherit path target; } ''
    mkdir -p "$out/''${path%/*}"
    ln -s "$target" "$out/$path"
  '';
in
{
  # root and nobody, and others between them: lines of passwd(5) and group(5).
  fakeNss = makeOverridable (
    {
      extraPasswdLines ? [ ],
      extraGroupLines ? [ ],
    }:
    tree "fake-nss" {
      extraPasswd = builtins.concatStringsSep "\n" extraPasswdLines;
      extraGroup = builtins.concatStringsSep "\n" extraGroupLines;
    } users
  ) { };

  binSh = link "bin-sh" "bin/sh" context.shell;
  usrBinEnv = link "usr-bin-env" "usr/bin/env" "${context.coreutils}/bin/env";

  caCertificates = tree "ca-certificates" { inherit (context) bundle; } ''
    mkdir -p "$out/etc/ssl/certs" "$out/etc/pki/tls/certs"
    ln -s "$bundle" "$out/etc/ssl/certs/ca-bundle.crt"
    ln -s "$bundle" "$out/etc/ssl/certs/ca-certificates.crt"
    ln -s "$bundle" "$out/etc/pki/tls/certs/ca-bundle.crt"
  '';

  # Text for runAsRoot: the files that useradd and its kin change, where they are missing.
  shadowSetup = ''
    ${if context.shadow == null then "" else "export PATH=${context.shadow}/bin:$PATH"}
    mkdir -p /etc/pam.d
    if [ ! -e /etc/passwd ]; then
      echo 'root:x:0:0::/root:${context.shell}' > /etc/passwd
      echo 'root:!x:::::::' > /etc/shadow
    fi
    if [ ! -e /etc/group ]; then
      echo 'root:x:0:' > /etc/group
      echo 'root:x::' > /etc/gshadow
    fi
    if [ ! -e /etc/pam.d/other ]; then
      {
        echo 'account sufficient pam_unix.so'
        echo 'auth sufficient pam_rootok.so'
        echo 'password requisite pam_unix.so nullok yescrypt'
        echo 'session required pam_unix.so'
      } > /etc/pam.d/other
    fi
    [ -e /etc/login.defs ] || touch /etc/login.defs
  '';
}
