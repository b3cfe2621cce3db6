// Prints what Go's archive/tar, which docker and containerd read layers with, sees in each file
// named on the command line: one line of JSON a file. Names and values are hexadecimal.
package main

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

const largest = 1 << 26 // bytes of content to be read: a hole can be of any size

type entry struct {
	Name, Link, Type, Content       string
	Size, Mode, Mtime, Major, Minor int64
	Uid, Gid                        int
	Xattrs                          map[string]string
}

type archive struct {
	Entries []entry
	Error   string
}

func read(path string) (found archive) {
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	reader := tar.NewReader(bufio.NewReader(file))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return
		}
		hash := sha256.New()
		var size int64
		if err == nil && header.Size < largest {
			size, err = io.Copy(hash, reader)
		}
		if err != nil {
			found.Error = err.Error()
			return
		}
		xattrs := map[string]string{}
		for key, value := range header.PAXRecords {
			if strings.HasPrefix(key, "SCHILY.xattr.") {
				xattrs[fmt.Sprintf("%x", key[13:])] = fmt.Sprintf("%x", value)
			}
		}
		found.Entries = append(found.Entries, entry{
			Name: fmt.Sprintf("%x", header.Name), Link: fmt.Sprintf("%x", header.Linkname),
			Type: string(rune(header.Typeflag)), Content: fmt.Sprintf("%x", hash.Sum(nil)),
			Size: size, Mode: header.Mode, Mtime: header.ModTime.Unix(),
			Major: header.Devmajor, Minor: header.Devminor,
			Uid: header.Uid, Gid: header.Gid, Xattrs: xattrs,
		})
	}
}

func main() {
	out := json.NewEncoder(os.Stdout)
	for _, path := range os.Args[1:] {
		if err := out.Encode(read(path)); err != nil {
			panic(err)
		}
	}
}
