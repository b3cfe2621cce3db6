# Names with all that shells, tars and C strings trip over, made and deleted.
mkdir '/a blank' '/a blank/$(touch boo)' '/-rf' '/*'
nl=$(printf 'x\ny')
latin=$(printf 'latin-\351')
utf=$(printf 'caf\303\251')
for name in "quote'and\"quote" '`x`' "$nl" '-n' 'back\slash' "$latin" "$utf" '#' '~' '...' ' '; do
    echo "$name" > "/a blank/$name"
    rm -- "/odd/$name"
done
long=$(printf '%0255d' 0)
echo > "/$long"
path=/
for n in 1 2 3 4; do
    path="$path$(printf '%090d' $n)/"
    mkdir "$path"
done
echo deep > "${path}file"
ln -s "$path$path" /long-link
mkdir "/$(printf '%0120d' 5)"
echo > "/$(printf '%0120d' 5)/$(printf '%0120d' 6)"
