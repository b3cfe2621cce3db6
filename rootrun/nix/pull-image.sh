# The builder of pullImage.
[ -n "$SSL_CERT_FILE" ] || unset SSL_CERT_FILE
set -- pull "$source" --os "$os" --name "$imageName" --tag "$finalImageTag" -o "$out"
[ -z "$platform" ] || set -- "$@" --arch "$platform"
[ -z "$noVerify" ] || set -- "$@" --no-tls-verify
rootrun "$@"
